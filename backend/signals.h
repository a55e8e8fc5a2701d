// Signals of a base on a port: the C run-time's handler counts them and posts a packet, so that no socket pair is
// needed. As elsewhere in libevent, one base at a time has the process's signals: the one that added the last, and has any
// left. What was caught is its base's, as on select.
#ifndef LIBEVENT_IOCP_BACKEND_SIGNALS_H
#define LIBEVENT_IOCP_BACKEND_SIGNALS_H

#include "backend/backend.h"

namespace iocp {

// Makes base->evsigsel ours.
void signals_init(backend *owner);
// Once a turn: takes the signals if nobody has them and the base waits for some.
void signals_claim(backend *owner);
// A signal has come for the base, and its events have not been activated.
bool signals_waiting(const backend *owner);
// The same, and its packet has been taken: no other comes for it.
bool signals_taken(const backend *owner);
// In a turn of the loop: activates the events of what has come, if its packet has been taken.
void signals_activate(backend *owner);
// Restores the handlers that the base had replaced.
void signals_dealloc(backend *owner);

} // namespace iocp

#endif
