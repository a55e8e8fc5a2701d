// A wait for a handle (event2/iocp_wait.h), and what its base does with it.
#ifndef LIBEVENT_IOCP_BACKEND_HANDLE_WAIT_H
#define LIBEVENT_IOCP_BACKEND_HANDLE_WAIT_H

struct evwait;
struct timeval;

namespace iocp {

struct backend;

// As evwait_iocp_add, with the lock held: 0, or an error.
int wait_add(struct evwait *self, const struct timeval *timeout);

// The base is freed: all of its waits are deleted, and have no base from now on. What had been signalled has a packet
// on its way, which port_drain collects. The lock is held.
void waits_end(backend *owner);

} // namespace iocp

#endif
