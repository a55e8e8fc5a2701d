// A thread that sees for others when packets come to a port, where a wait for the port itself does not work.
//
// A packet cannot be seen without being taken: so it takes a batch, sets an event and keeps the batch for whoever
// dequeues next. It watches only from when it is told to until it has taken something or is called back, and whoever
// dequeues from the port calls it back first: never do two take packets at a time.
//
// Threads: with the base's lock held, which its own thread does not take.
#ifndef LIBEVENT_IOCP_BACKEND_PORT_WATCHER_H
#define LIBEVENT_IOCP_BACKEND_PORT_WATCHER_H

#include "backend/port.h"

namespace iocp {

// It is called back by a packet. Should there be no memory for one, it is tried again, so often, and waited for so long
// each time.
constexpr int max_recalls = 100;
constexpr long recall_wait_ms = 10;

// For a port that has none. 0, or an error.
int port_watcher_start(port *on);
// Set, until it watches again: there may be packets, or somebody has called it back.
HANDLE port_watcher_event(const port *on);
// Nothing, while packets are left that it has taken.
void port_watcher_watch(port *on);
// Calls it back; up to max_packets that it has taken. 0, or an error.
int port_watcher_take(port *on, OVERLAPPED_ENTRY *entries, ULONG *count);
// Its thread has ended, and what it had taken is delivered.
void port_watcher_stop(port *on);

} // namespace iocp

#endif
