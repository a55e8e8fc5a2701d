// One turn of a base's loop: see README.md, "A turn of the loop".
//
// Threads: the loop's, with the base's lock held, which is let go of during a wait.
#ifndef LIBEVENT_IOCP_BACKEND_LOOP_TURN_H
#define LIBEVENT_IOCP_BACKEND_LOOP_TURN_H

#include "backend/backend.h"

namespace iocp {

// What is ready has been activated when it returns: 0, or -1 if the port has failed. `tv`: how long it may wait; NULL:
// for ever.
int loop_take_turn(backend *self, const struct timeval *tv);

} // namespace iocp

#endif
