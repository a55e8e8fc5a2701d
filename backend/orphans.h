// Bytes that a base had kept of a socket for its next reader when it was freed. They are the next bufferevent's on that
// socket all the same, on whatever base; and gone when the socket is closed by evutil_closesocket. (Closed past us, they
// stay until the next bufferevent on that number is found to be another connection's.)
//
// Threads: safe from any. The lock is held for no more than a look into a table; without any such bytes it is not taken.
#ifndef LIBEVENT_IOCP_BACKEND_ORPHANS_H
#define LIBEVENT_IOCP_BACKEND_ORPHANS_H

#include "backend/received_bytes.h"

namespace iocp {

// Takes over what has a mark, and frees what was there of that descriptor before. False for want of memory.
bool orphans_keep(evutil_socket_t fd, received_bytes *left);
// Of any descriptor.
bool orphans_are_there();
bool orphans_have(evutil_socket_t fd);
// NULL: there are none, or they were another connection's, and are freed.
received_bytes *orphans_take(evutil_socket_t fd);
// The descriptor is closed.
void orphans_forget(evutil_socket_t fd);

} // namespace iocp

#endif
