// Signals of a base on a port: the C run-time's handler counts them and posts a packet, so that no socket pair is
// needed. As elsewhere in libevent, one base at a time has the process's signals: the one that added the last, and has any
// left. What was caught is its base's, as on select.
#ifndef LIBEVENT_IOCP_BACKEND_SIGNALS_H
#define LIBEVENT_IOCP_BACKEND_SIGNALS_H

#include "backend/backend.h"

namespace iocp {

// Makes base->evsigsel ours.
void signals_init(backend *owner);
// A signal has come for the base, and its events have not been activated.
inline bool signals_waiting(const backend *owner)
{
    return owner->signals.posted;
}

// The same, and its packet has been taken: no other comes for it.
inline bool signals_taken(const backend *owner)
{
    return owner->signals.taken;
}

void signals_take_if_free(backend *owner);
// Once a turn: takes the signals if nobody has them and the base waits for some.
inline void signals_claim(backend *owner)
{
    if (owner->base->sig.ev_n_signals_added > 0)
        signals_take_if_free(owner);
}

void signals_activate_taken(backend *owner);
// In a turn of the loop: activates the events of what has come, if its packet has been taken.
inline void signals_activate(backend *owner)
{
    if (signals_taken(owner))
        signals_activate_taken(owner);
}

// Restores the handlers that the base had replaced.
void signals_dealloc(backend *owner);

} // namespace iocp

#endif
