// What a turn does before it waits: hands on what is ready, and starts operations where nothing is.
#ifndef LIBEVENT_IOCP_BACKEND_SUBMIT_H
#define LIBEVENT_IOCP_BACKEND_SUBMIT_H

#include "backend/backend.h"

namespace iocp {

// Activates the events of sources that are ready, and starts what the others need. True if any is ready.
// `at_once`: everything, however much is ready.
bool submit(backend *self, bool at_once);

// Asked in a turn that need not wait: is it time for a look at the port all the same?
bool look_is_due(start_pace *pace);
void look_was_made(start_pace *pace, bool brought_packets);

} // namespace iocp

#endif
