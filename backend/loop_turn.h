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

// The same in two parts, of which the second looks at the port or waits there, if anything is left to do.
struct turn_rest {
    bool is_over;
    int result;      // if so
    int64_t wait_us; // if not: 0 to look, -1 to wait for ever
};
turn_rest loop_begin_turn(backend *self, const struct timeval *tv);
int loop_end_turn(backend *self, const turn_rest &rest);
// In place of the second, when somebody else has waited.
int loop_wake(backend *self);

} // namespace iocp

#endif
