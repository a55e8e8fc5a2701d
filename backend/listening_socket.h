// A listening socket that bases on ports use, of this process: whether one listener has it for itself. Its users are
// listeners, and plain events that wait for it and whose program calls accept().
//
// An AcceptEx takes a connection for the base that has started it, however busy that base is, before any poll or
// accept() of others. So it is for a socket with one user. From the moment that there is a second, in whatever base and
// thread, all of them wait for readiness and take from the backlog, where a connection is anybody's. It stays so until
// the last is gone: no state has to be handed back between threads.
//
// Threads: safe from any. The table's lock is taken where somebody begins and ends to use such a socket, and for an
// accept only while a connection is left over anywhere in the process.
#ifndef LIBEVENT_IOCP_BACKEND_LISTENING_SOCKET_H
#define LIBEVENT_IOCP_BACKEND_LISTENING_SOCKET_H

#include <atomic>

#include "compat/libevent.h"

namespace iocp {

// Who has accepts in flight calls them back, in whatever thread, with the socket's accepts lock held: by the OVERLAPPED
// of each. One cancel of all that is in flight on the socket would end what is not ours, too: a select() in another
// thread is an operation on the socket, and fails by it. What they have taken and nobody was told of is left over
// (listening_leave), for whichever listener on the socket asks first: the holder's base may be busy.
using call_accepts_back = void (*)(void *holder);

struct backend;
struct listening_socket;

// What a base is to one listening socket: all its listeners there (see listening_round.h).
struct listening_sharer {
    listening_socket *socket;
    backend *owner;                          // NULL: the base is gone
    unsigned listeners;                      // the base's, on this socket
    unsigned got;                            // connections, those included that it has been given
    unsigned given;                          // that it has not told of
    bool listens;                            // its listeners are enabled
    bool is_owed;                            // somebody has gone, and left what it was given: see round_owe_others
    TAILQ_ENTRY(listening_sharer) in_socket; // whose turn is longest ago comes first
    LIST_ENTRY(listening_sharer) in_base;
};

// What an accept has taken and nobody was told of.
struct left_connection {
    SOCKET socket;
    bool is_finished;  // accept() has made it, and told of its peer; else see sys::finish_accept
    bool is_inherited; // by child processes: what accept() has made, until it is left
    int peer_length;
    struct sockaddr_storage peer;
};

struct left_over {
    left_connection connection;
    listening_sharer *given_to; // NULL: nobody in particular
    unsigned passes;            // how often it was given
    TAILQ_ENTRY(left_over) listed;
};

struct listening_socket {
    std::atomic<bool> shared;
    std::atomic<bool> has_others; // a program's own event, or a listener of a base on select, is among the users
    std::atomic<bool> by_load;    // who has the fewest connections open is next, and not who has had the fewest
    std::atomic<unsigned> left_count;
    std::atomic<unsigned> sharer_count;
    evutil_socket_t fd;
    unsigned users;
    LIST_ENTRY(listening_socket) listed;
    SRWLOCK accepts_lock; // of what follows, and of the holder's lists of accepts
    TAILQ_HEAD(, left_over) left;
    TAILQ_HEAD(, listening_sharer) sharers;
    void *holder; // NULL: none is in flight
    call_accepts_back call_back;
};

// Memory for one, which listening_begin takes over, or mm_free; NULL: there is none.
listening_socket *listening_new();
// One user more. NULL: there is no record yet, and no memory for one.
listening_socket *listening_begin(evutil_socket_t fd, listening_socket *spare);
// One less, which does not look at the record any more.
void listening_end(listening_socket *self);
// From now on it has accepts in flight, or no more. Of several the first is meant: others find it shared.
void listening_hold(listening_socket *self, void *holder, call_accepts_back call_back);
void listening_let_go(listening_socket *self, const void *holder);
// With the accepts lock held. NULL for want of memory: the connection stays where it is. No child process inherits it
// from here on.
left_over *listening_leave(listening_socket *self, const left_connection &connection);
// Takes it away from whom it was given to, with its place in what that has got.
void listening_take_back(left_over *given);
left_connection listening_remove_left(listening_socket *self, left_over *removed);
// The one that was left first. False: there is none.
bool listening_take(evutil_socket_t fd, left_connection *taken);
bool listening_has_left(evutil_socket_t fd);
// Nobody has it for himself from now on.
void listening_share(listening_socket *self);

} // namespace iocp

#endif
