// One look at many plain events' sockets, instead of a poll for each.
//
// A poll costs a call, whether the socket is ready or not. One select() that does not wait tells of many sockets which
// of them can be read or written. So those that have come lately, or were ready lately, are looked at together as long
// as any of them is; a poll of its own, which waits, is started for a socket when it has not been ready a few times,
// and for all of them before the loop sleeps. What is idle is in no such look: the cost follows the number of sockets
// that are active.
#ifndef LIBEVENT_IOCP_BACKEND_POLL_TOGETHER_H
#define LIBEVENT_IOCP_BACKEND_POLL_TOGETHER_H

#include "backend/backend.h"

namespace iocp {

// Looks at which a socket was not ready, one after the other, before it is left to a poll of its own.
constexpr unsigned char max_misses = 4;

// Activates the events of those in the list `polling` that are ready, if it makes sense to look at them so. If it
// returns false, it has found none, and all have yet to be polled.
bool look_together(backend *self);
// The same for those in the list `hinted`, which leave it if they are ready.
bool look_together_at_hinted(backend *self);

} // namespace iocp

#endif
