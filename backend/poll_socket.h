// Readiness of a plain event's socket: at most one AFD poll in flight, for all that is wanted.
//
// Windows mixes up two polls of one socket: what one has asked for may end the other, and the one that asked for it stays
// in flight (python-trio found that out: its notes-to-self/afd-lab.py, issue 52). So there is one, as wepoll has it.
//
//               submit, wanted              packet: ready, activate, queue
//   idle ----------------------------> polling -----------------------------> idle
//    ^   <---- done at once: ready ----    |
//    |                                     | interest gone, or wider than the poll's: disown
//    +-------------------------------------+       (the poll frees itself by its packet)
//
// A poll is left in flight when interest grows, if a look finds what came to it ready, as sockets mostly are to be written:
// that is one call, where to cancel and to start anew are two and a packet. And it is left if interest shrinks to less than
// it has asked for: it may end for nobody then, once.
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
    uint64_t turn;        // of the loop, when it was started
    afd_device *device;
    poll_socket *owner; // not looked at once disowned
};

struct poll_socket {
    source as_source; // first: a source is cast to its socket
    afd_poll *poll;
    SOCKET base_socket;          // what AFD is asked about; the socket itself until AFD refuses it
    unsigned close_count;        // of the descriptor, when `base_socket` was last found to be a socket
    bool checked;                // it has been found to be one
    bool listens;                // it was listening then
    listening_socket *listening; // counted among its users, while an event waits for it
    bool dead;
    bool polled_again;    // since no look could tell whether its packet was old: one that comes at once is believed
    unsigned char misses; // see poll_together.h
};

// Of EV_READ and EV_WRITE, what is wanted and no poll in flight waits for.
short poll_socket_unasked(const poll_socket *self);

// If it is dead while events wait for it: looks whether its number is another socket's by now. True if it is, and the loop
// has something to do.
bool poll_socket_revive(poll_socket *self);

// Whether select() may be asked about it, with others: all must be of one provider, says Microsoft, and layered ones are
// not.
bool poll_socket_may_be_looked_at(const poll_socket *self);

// NULL for want of memory.
poll_socket *poll_socket_new(owned_descriptor *of);
// Lets go of polls in flight. The socket may be freed then (by mm_free).
void poll_socket_destroy(poll_socket *self);

} // namespace iocp

#endif
