// Connections that a listener's accepts had taken when its socket was shared, and that nobody was told of yet: they are
// whoever's asks first. On select they would be in the backlog; and the listener's base may be busy.
//
// AcceptEx without first data has ended, for the kernel, as soon as its socket is connected (SO_CONNECT_TIME), though
// its packet may lie in the port of a base that computes. The operation stays that base's, which finds it without a
// socket.
//
// Threads: any. The socket's accepts lock guards the lists, and what is in them.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_LEFT_OVER_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_LEFT_OVER_H

#include "bufferevent/acceptor.h"

namespace iocp {

// An acceptor's call_accepts_back, see listening_hold.
void left_over_call_back(void *holder);
// Gives the connection what accept() would: 0, or it is closed, since its peer has gone meanwhile, or for a shortage.
int left_over_finish(evutil_socket_t fd, const left_connection &taken, struct sockaddr *address, ev_socklen_t *length,
                     int flags);
// As accept() on that listening socket: 0 with one, WSAEWOULDBLOCK if none is left over, or a shortage that one was closed
// for.
int left_over_take(evutil_socket_t fd, SOCKET *taken, struct sockaddr *address, ev_socklen_t *length, int flags);

} // namespace iocp

#endif
