// Threads for a port that no base runs: only libevent's own tests of its internal functions have such ports.
#ifndef LIBEVENT_IOCP_BACKEND_PORT_WORKERS_H
#define LIBEVENT_IOCP_BACKEND_PORT_WORKERS_H

#include "backend/port.h"

namespace iocp {

constexpr int worker_count = 2;

// Does nothing if they run already. 0 or -1.
int port_workers_start(port *on);
// Waits up to wait_ms (-1: for ever) for each to end. 0, or -1 if one has not; it may then be called again.
int port_workers_stop(port *on, long wait_ms);

} // namespace iocp

#endif
