// A listening socket that bases on ports use, of this process: whether one listener has it for itself. Its users are
// listeners, and plain events that wait for it and whose program calls accept().
//
// An AcceptEx takes a connection for the base that has started it, however busy that base is, before any poll or accept()
// of others. So it is for a socket with one user. From the moment that there is a second, in whatever base and thread,
// all of them wait for readiness and take from the backlog, where a connection is anybody's. It stays so until the last
// is gone: no state has to be handed back between threads.
//
// Threads: safe from any. The table's lock is taken where somebody begins and ends to use such a socket, never for an
// accept.
#ifndef LIBEVENT_IOCP_BACKEND_LISTENING_SOCKET_H
#define LIBEVENT_IOCP_BACKEND_LISTENING_SOCKET_H

#include <atomic>

#include "compat/libevent.h"

namespace iocp {

struct listening_socket {
    std::atomic<bool> shared;
    evutil_socket_t fd;
    unsigned users;
    listening_socket *next;
};

// Memory for one, which listening_begin takes over, or mm_free; NULL: there is none.
listening_socket *listening_new();
// One user more. NULL: there is no record yet, and no memory for one.
listening_socket *listening_begin(evutil_socket_t fd, listening_socket *spare);
// One less, which does not look at the record any more.
void listening_end(listening_socket *self);
// Nobody has it for himself from now on.
void listening_share(listening_socket *self);

} // namespace iocp

#endif
