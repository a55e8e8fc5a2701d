// All that the process knows of sockets on ports: which base must be asked before a descriptor is closed, since
// evutil_closesocket carries nothing else. Descriptors are here only while something of a base is on their socket.
//
// Threads: safe from any. The lock is held for no more than a look into a table; it is taken where a base begins and
// ends to use a socket, and in evutil_closesocket.
#ifndef LIBEVENT_IOCP_BACKEND_SOCKET_REGISTRY_H
#define LIBEVENT_IOCP_BACKEND_SOCKET_REGISTRY_H

#include "backend/fd_table.h"

namespace iocp {

// Two bases may use one listening socket; the one that registered last is asked. False for want of memory. What is added
// is looked at until it is removed.
bool registry_add(owned_descriptor *added);
void registry_remove(const owned_descriptor *removed);
// NULL: none need be asked.
backend *registry_owner(evutil_socket_t fd);
// The same, and the descriptor counts as closed.
backend *registry_close(evutil_socket_t fd);
// Another number than before, if the descriptor may have been closed since (or another, seldom).
unsigned registry_closes(evutil_socket_t fd);

} // namespace iocp

#endif
