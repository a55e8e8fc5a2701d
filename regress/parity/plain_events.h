// Random scripts of plain events, whose program does its own I/O: several events on one descriptor, each with a manner
// of its own, added, deleted, changed and freed, in callbacks too, and descriptors whose number comes back as another
// socket.
//
// On both bases the same events are told of the same, in the same order on one descriptor, and none that is not ready.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_PLAIN_EVENTS_H
#define LIBEVENT_IOCP_REGRESS_PARITY_PLAIN_EVENTS_H

#include "random.h"
#include "world.h"

namespace parity {

void make_plain_script(random_source *random, script *made);
std::string describe_plain(const script &of);
// Of an operation of plain events, with names for numbers; empty: of any other.
std::string describe_plain(const operation &of);
trace run_plain_events(const script &of, base_kind kind);

} // namespace parity

#endif
