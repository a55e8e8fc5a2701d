// Readiness of a plain event's socket: at most one AFD poll in flight for each direction.
//
// Two directions, so that adding EV_WRITE to a socket that waits for EV_READ (or taking it away) leaves the other poll
// alone: a change costs one call, where a single poll would have to be cancelled, collected and started anew.
//
//               submit, wanted              packet: ready, activate, queue
//   idle ----------------------------> polling -----------------------------> idle
//    ^   <---- done at once: ready ----    |
//    |                                     | interest gone, or wider than the poll's: disown
//    +-------------------------------------+       (the poll frees itself by its packet)
//
// A poll that reports the socket's local close, or fails for good, makes the socket `dead`: its events are activated
// once, so that the program's own call on it shows the error, and nothing more is polled until interest is added anew.
#ifndef LIBEVENT_IOCP_BACKEND_POLL_SOCKET_H
#define LIBEVENT_IOCP_BACKEND_POLL_SOCKET_H

#include "backend/afd_device.h"
#include "backend/source.h"

namespace iocp {

struct listening_socket;
struct poll_socket;

struct afd_poll {
    completion operation;    // first: a completion is cast to its poll
    sys::afd_poll_info info; // the kernel's, while in flight
    ULONG asked;
    unsigned close_count; // of the descriptor, when it was started
    afd_device *device;
    poll_socket *owner; // not looked at once disowned
};

enum poll_side { side_read, side_write, side_count };

struct poll_socket {
    source as_source; // first: a source is cast to its socket
    afd_poll *polls[side_count];
    SOCKET base_socket;          // what AFD is asked about; the socket itself until AFD refuses it
    unsigned close_count;        // of the descriptor, when `base_socket` was last found to be a socket
    bool checked;                // it has been found to be one
    bool listens;                // it was listening then
    listening_socket *listening; // counted among its users, while an event waits for it
    bool dead;
    unsigned char misses; // see poll_together.h
};

// Of EV_READ and EV_WRITE, what is wanted and no poll in flight waits for.
short poll_socket_unasked(const poll_socket *self);

// NULL for want of memory.
poll_socket *poll_socket_new(owned_descriptor *of);
// Lets go of polls in flight. The socket may be freed then (by mm_free).
void poll_socket_destroy(poll_socket *self);

} // namespace iocp

#endif
