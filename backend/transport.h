// The operations of a stream, by what carries its bytes: the one place where a socket's and a file's calls differ.
#ifndef LIBEVENT_IOCP_BACKEND_TRANSPORT_H
#define LIBEVENT_IOCP_BACKEND_TRANSPORT_H

#include "backend/port.h"

namespace iocp {

// How many buffers one send may have: of a file, one.
int transport_max_buffers(sys::transport by, int of_socket);

// Put the operation in flight, and take it out again if no packet comes. `skips`: what is done at once leaves none.
sys::start_result transport_receive(sys::transport by, port *on, completion *operation, evutil_socket_t fd,
                                    WSABUF *buffer, bool skips);
sys::start_result transport_send(sys::transport by, port *on, completion *operation, evutil_socket_t fd,
                                 WSABUF *buffers, int count, bool skips);
int transport_close(sys::transport by, evutil_socket_t fd);
// Where nobody is left who could do it again.
void transport_close_for_good(sys::transport by, evutil_socket_t fd);
void transport_close_for_good(SOCKET socket);

} // namespace iocp

#endif
