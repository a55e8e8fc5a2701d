// A listening socket on a port, made to look like one that is watched for readiness and accepted from without waiting.
//
// libevent's own listener.c runs on top, unmodified: it adds an EV_READ event, and calls our acceptor_take where it
// would call accept (see compat/listener_slot.h). An acceptor is of one base and one descriptor. Several AcceptEx are
// kept in flight; the listener is readable when one has brought a connection, or an error that the program should see.
// When more came than were in flight, the rest is taken from the backlog (see acceptor_backlog.h).
//
// A peer that went away before it was accepted is nobody's concern: its slot is used again. After a shortage (no memory,
// no handles) the slots are filled again (see acceptor_shortage.h).
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_H

#include "backend/backend.h"
#include "backend/listening_socket.h"

namespace iocp {

// Accepts in flight: as many as connections come in a turn of the loop, or a share of them where accept() takes the
// rest, within these bounds.
constexpr unsigned min_accepts = 2;
constexpr unsigned max_accepts = 64;

// The shortest time between two reports of a shortage, and before the kernel is asked again for what it had none of.
constexpr int64_t shortage_pause_us = 50 * 1000;

// Fills of one submit, each of which may find that silent peers took what the last one started.
constexpr unsigned max_fills = 4;

struct accept_operation;
struct first_data;
TAILQ_HEAD(accept_list, accept_operation);

struct acceptor {
    source as_source;            // first: a source is cast to its acceptor
    listening_socket *listening; // whether others use it, too; NULL: its base is gone
    unsigned listeners;          // of this base, on this socket
    accept_list pending;         // in flight, newest first
    accept_list done;            // connections to be taken, in the order they came
    unsigned pending_count;
    unsigned depth;         // how many to keep in flight
    unsigned done_in_turn;  // how many peers the present turn has brought, be they gone again
    unsigned taken_in_turn; // of these, by accept()
    int error;              // to be reported by the next take; 0: none
    int64_t pause_until_us; // for a shortage; 0: there is none
    first_data *first;      // see acceptor_first_data.h; NULL: accepts wait for none
    sys::socket_kind kind;
    bool inherit;            // accepted sockets are passed on to child processes, once the program is told of them
    bool plain;              // AcceptEx does not work here, or is not for this socket: accept is called
    bool never_blocks;       // accept() on it does not
    bool pause_is_of_starts; // and not of accept()
    bool found_in_backlog;   // the last turn that looked into it found somebody there
    bool backlog_waits;      // connections may be in the backlog that no accept in flight will take
};

inline backend *acceptor_owner(const acceptor *self)
{
    return source_owner(&self->as_source);
}

inline evutil_socket_t acceptor_descriptor(const acceptor *self)
{
    return source_descriptor(&self->as_source);
}

// For one more listener. NULL when the socket cannot be on the base's port: it is then watched for readiness, like any
// other.
acceptor *acceptor_attach(backend *owner, evutil_socket_t fd, listening_socket *on, bool inherit);
// The last one lets go of the accepts in flight and closes connections that nobody took: its socket is closed next.
void acceptor_detach(acceptor *self);

// The acceptor of a base's descriptor, or NULL. With the base's lock held.
acceptor *acceptor_find(backend *owner, evutil_socket_t fd);

// No AcceptEx from now on: those in flight are called back, and it goes by readiness and accept(), as on select.
void acceptor_avoid_accept_ex(acceptor *self);

// The peer's address, as accept() gives it.
void acceptor_give_address(const struct sockaddr *peer, int peer_length, struct sockaddr *address,
                           ev_socklen_t *length);
// As accept: a new socket, or INVALID_SOCKET with the socket error, WSAEWOULDBLOCK when there is none. Loop thread.
evutil_socket_t acceptor_take(acceptor *self, struct sockaddr *address, ev_socklen_t *length, int flags);

} // namespace iocp

#endif
