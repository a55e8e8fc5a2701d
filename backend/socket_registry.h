// What the process knows of sockets on ports: which base's port a socket is bound to (Windows lets a socket join one
// port in its life, and does not say which), and the source that a bufferevent or listener brought for it.
//
// Process-wide, since libevent's calls on a socket often carry nothing but its descriptor.
//
// Threads: safe from any. A source found stays valid for as long as its base's loop thread, or its lock, keeps it.
#ifndef LIBEVENT_IOCP_BACKEND_SOCKET_REGISTRY_H
#define LIBEVENT_IOCP_BACKEND_SOCKET_REGISTRY_H

#include "backend/source.h"

namespace iocp {

// Puts the socket on the base's port, if it is not there already. Says whether its operations that are done at once
// leave no packet. False: it cannot be there (it is on another port, or its provider does not reach ports).
bool socket_bind(backend *owner, evutil_socket_t fd, bool *skips_packets);
// True if the descriptor has become another socket since it was bound. (It is bound then.)
bool socket_is_stale(backend *owner, evutil_socket_t fd);

// One source a descriptor, whose owner must have bound it. False if it has one.
bool socket_set_source(source *added);
void socket_clear_source(source *removed);
source *socket_find_source(evutil_socket_t fd);

// A listener has brought this connection, without blocking calls. True of the last one, when asked in the same turn of
// the loop, once, and unless the descriptor was closed meanwhile: it is what it was then.
void socket_note_accepted(backend *owner, evutil_socket_t fd);
bool socket_was_just_accepted(backend *owner, evutil_socket_t fd);

// Whose port the descriptor's socket is on, as far as is known; NULL: nobody's.
backend *socket_owner(evutil_socket_t fd);

// Data that came together with a connection, for whoever reads from its socket first. Freed with the socket's entry.
struct early_data {
    char *bytes; // allocated by mm_malloc; NULL: none
    unsigned length;
};

// Takes the bytes over if true: the owner has bound the socket, and nothing is kept for it yet. `back`: they are handed
// back by who took them, which is refused when the descriptor has become another socket since.
bool socket_keep_early(backend *owner, evutil_socket_t fd, early_data early, bool back);
early_data socket_take_early(backend *owner, evutil_socket_t fd);

// The descriptor is being closed.
void socket_forget(evutil_socket_t fd);
// The backend is going away: so are its sockets' entries, and its sources have no owner.
void socket_forget_all(backend *leaving);

} // namespace iocp

#endif
