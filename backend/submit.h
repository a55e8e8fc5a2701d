// What a turn does before it waits: hands on what is ready, and starts operations.
#ifndef LIBEVENT_IOCP_BACKEND_SUBMIT_H
#define LIBEVENT_IOCP_BACKEND_SUBMIT_H

#include "backend/backend.h"

namespace iocp {

// Activates the events of sources that are ready, and starts what others need, but for receives. True if any is ready.
bool submit_ready(backend *self);
// Starts receives: `at_once` all of them, else as many as the pace allows. True if any source is ready.
bool submit_receives(backend *self, bool at_once);

} // namespace iocp

#endif
