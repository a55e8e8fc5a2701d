// Which of a descriptor's sources libevent's interest goes to: the one that a bufferevent or listener has brought, or
// the poll. libevent's map of descriptors keeps a pointer to the record for us (`slot`).
#ifndef LIBEVENT_IOCP_BACKEND_SOCKET_INTEREST_H
#define LIBEVENT_IOCP_BACKEND_SOCKET_INTEREST_H

#include "backend/socket_record.h"

namespace iocp {

// 0, or -1 with the socket error set (WSAENOTSOCK for what is no socket).
int interest_add(backend *owner, evutil_socket_t fd, short old, short events, socket_record **slot);
int interest_del(short events, socket_record **slot);

// A source that has come for a descriptor takes its interest from the poll; one that is about to go hands it back.
void interest_take_over(source *arriving);
void interest_fall_back(source *leaving);
// The same, and the socket is about to be closed: whoever waits for it is told once.
void interest_close(source *leaving);

// Where another event is added to those that wait: the number of a socket that was closed under them may be another
// one's by now, of which libevent tells no backend. True if the loop has something to do.
bool interest_revive(const socket_record *record);

// Once a turn, if there is any: interest that has fallen to a poll which there was no memory for.
void interest_retry(backend *owner);

// Lets go of all polls.
void interest_drop_all(backend *owner);

} // namespace iocp

#endif
