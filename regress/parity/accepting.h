// A listener under test, and the peers that connect to it.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_ACCEPTING_H
#define LIBEVENT_IOCP_REGRESS_PARITY_ACCEPTING_H

#include "peer.h"
#include "script.h"

#include <event2/event.h>
#include <event2/listener.h>

namespace parity {

struct accepting {
    struct evconnlistener *listener; // NULL: none, or freed
    bool enabled;
    bool closes;
    SOCKET fd;
    any_address address;
    int hook; // 1: disable in the next callback, 2: free
    DWORD loop_thread;
    std::vector<SOCKET> peers; // that have connected
    std::vector<int> ports;    // their numbers
    std::vector<int> accepted; // indices of peers, in the step
    size_t accepted_count;
    std::string wrong;
};

bool accepting_start(accepting *self, const script &of, struct event_base *base);
void accepting_apply(accepting *self, const operation &what);
bool accepting_is_quiet(const accepting *self);
std::string accepting_log(accepting *self);
void accepting_end(accepting *self);

} // namespace parity

#endif
