// All that the process knows of sockets on ports: which base must be asked before a descriptor is closed, since
// evutil_closesocket carries nothing else. Descriptors are here only while something of a base is on their socket.
//
// As a rule that is one base. Another one comes to it where bytes have moved and the socket could not leave the port of the
// first (moving.h), or where the number was another socket's, which was closed past libevent. The last to come is asked
// first; when it goes, the one before is as it was. A close is told to all, since who had the socket on its port would
// take the next one of that number for it; but not to those that came before one which closes the socket later.
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

// It is not there yet. False for want of memory. What is added is looked at until it is removed.
bool registry_add(owned_descriptor *added);
// Nothing if it is not there.
void registry_remove(const owned_descriptor *removed);
// The descriptor counts as closed.
void registry_note_close(evutil_socket_t fd);
// Another number than before, if the descriptor may have been closed since (or another, seldom).
unsigned registry_closes(evutil_socket_t fd);

class registry_use {
public:
    // The base that came last, but so many `later` ones.
    explicit registry_use(evutil_socket_t fd, unsigned later = 0);
    ~registry_use();
    registry_use(const registry_use &) = delete;
    registry_use &operator=(const registry_use &) = delete;

    backend *owner;   // NULL: none (more) need be asked
    bool has_earlier; // others came before
};

// How many hold that base; by backend.cpp.
std::atomic<unsigned> *backend_uses(backend *owner);
// Nothing of that base is here any more. Waits, without its lock, until nobody holds it.
void registry_await_uses(backend *owner);

} // namespace iocp

#endif
