// Bufferevents of the fake kernel whose peers take nothing, with a send in flight, on one base.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_STUCK_SENDS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_STUCK_SENDS_H

#include "support/check.h"

#include "support/bases.h"

namespace iocp {
namespace stuck_sends {

extern struct event_base *base;

struct stuck {
    SOCKET socket;
    struct bufferevent *bev;
};

int set_up(void **);
// Complains of what is left.
int tear_down(void **);
stuck make_stuck(size_t bytes, int options = BEV_OPT_CLOSE_ON_FREE);
// True: it is closed within some hundred turns, each so much later.
bool settles(SOCKET socket, int64_t step_us = 1000);
void set_limits(long ms, size_t bytes);

} // namespace stuck_sends
} // namespace iocp

#endif
