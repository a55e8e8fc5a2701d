// The waits for handles of one base, which end with it.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BACKEND_WAITING_HANDLES_H
#define LIBEVENT_IOCP_BACKEND_WAITING_HANDLES_H

#include "compat/libevent.h"

namespace iocp {

TAILQ_HEAD(waiting_handles, evwait);

} // namespace iocp

#endif
