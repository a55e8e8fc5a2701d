// Runs a script on one kind of base and writes down what its user would see.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_WORLD_H
#define LIBEVENT_IOCP_REGRESS_PARITY_WORLD_H

#include "script.h"

#include <string>
#include <vector>

struct event_base;

namespace parity {

enum class base_kind { select, iocp };

struct trace {
    std::vector<std::string> lines;
    bool hung; // a condition that should have come about did not
};

// NULL, if there is none.
struct event_base *new_base(base_kind kind, bool locks, int priorities);

trace run_script(const script &of, base_kind kind);

} // namespace parity

#endif
