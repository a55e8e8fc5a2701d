// What libevent's map of descriptors keeps for us: one pointer for each descriptor that was ever added, which lives as
// long as the base, while sockets come and go under the same descriptor.
#ifndef LIBEVENT_IOCP_BACKEND_FD_RECORD_H
#define LIBEVENT_IOCP_BACKEND_FD_RECORD_H

#include "backend/poll_socket.h"

namespace iocp {

struct fd_record {
    fd_record *next; // the backend's list of all records
    source *active;  // whose readiness EV_READ and EV_WRITE use at present
    poll_socket poll;
};

// `slot` is the map's pointer. 0, or -1 with the socket error set (WSAENOTSOCK for what is no socket).
int fd_record_add(backend *owner, evutil_socket_t fd, short old, short events, fd_record **slot);
int fd_record_del(short events, fd_record **slot);

// A source that has come for a descriptor takes its interest from the poll; one that is about to go hands it back.
void fd_record_take_over(backend *owner, source *arriving);
void fd_record_fall_back(backend *owner, source *leaving);

void fd_records_free(backend *owner);

} // namespace iocp

#endif
