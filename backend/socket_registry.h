// All that the process knows of sockets on ports: which base must be asked before a descriptor is closed, since
// evutil_closesocket carries nothing else. Descriptors are here only while something of a base is on their socket.
//
// Another thread may free that base meanwhile: who looks at it holds it by a registry_use, for no longer than a call,
// and the base's end waits for that.
//
// Threads: safe from any. The lock is held for no more than a look into a table; it is taken where a base begins and
// ends to use a socket, and in evutil_closesocket.
#ifndef LIBEVENT_IOCP_BACKEND_SOCKET_REGISTRY_H
#define LIBEVENT_IOCP_BACKEND_SOCKET_REGISTRY_H

#include "backend/fd_table.h"

#include <atomic>

namespace iocp {

// Two bases may use one listening socket; the one that registered last is asked. False for want of memory. What is added
// is looked at until it is removed.
bool registry_add(owned_descriptor *added);
void registry_remove(const owned_descriptor *removed);
// The descriptor counts as closed.
void registry_note_close(evutil_socket_t fd);
// Another number than before, if the descriptor may have been closed since (or another, seldom).
unsigned registry_closes(evutil_socket_t fd);

class registry_use {
public:
    explicit registry_use(evutil_socket_t fd);
    ~registry_use();
    registry_use(const registry_use &) = delete;
    registry_use &operator=(const registry_use &) = delete;

    backend *owner; // NULL: none need be asked
};

// How many hold that base; by backend.cpp.
std::atomic<unsigned> *backend_uses(backend *owner);
// Nothing of that base is here any more. Waits, without its lock, until nobody holds it.
void registry_await_uses(backend *owner);

} // namespace iocp

#endif
