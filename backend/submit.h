// What a turn does before it waits: hands on what is ready, and starts operations.
#ifndef LIBEVENT_IOCP_BACKEND_SUBMIT_H
#define LIBEVENT_IOCP_BACKEND_SUBMIT_H

#include "backend/backend.h"

namespace iocp {

// Asks those in the list `hinted`: after packets have come, before callbacks run. True if any is ready.
bool submit_hinted(backend *self);
// The same, activates the events of sources that are ready, and starts what those in the list `starting` need. True if
// any is ready.
bool submit_ready(backend *self);
// The same for the lists `receiving` and `polling`: as much as the pace allows; that much of the receives alone, before
// somebody sends again; or all of it, since it has been held back for long, or since the loop would see at once what is
// ready.
enum class receive_scope { at_pace, before_sends, held_back, at_once };
bool submit_receives(backend *self, receive_scope which);

} // namespace iocp

#endif
