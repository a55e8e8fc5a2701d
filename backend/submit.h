// What a turn does before it waits: hands on what is ready, and starts operations.
#ifndef LIBEVENT_IOCP_BACKEND_SUBMIT_H
#define LIBEVENT_IOCP_BACKEND_SUBMIT_H

#include "backend/backend.h"

namespace iocp {

// Activates the events of sources that are ready, and starts what those in the list `starting` need. True if any is
// ready.
bool submit_ready(backend *self);
// The same for the lists `receiving` and `polling`, or a part of them.
enum class receives { all, at_pace, left_waiting };
bool submit_receives(backend *self, receives which);

} // namespace iocp

#endif
