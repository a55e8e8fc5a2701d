/* Force-included into libevent's bufferevent_sock.c: the names under which its calls reach ours. Also included by the
 * file that defines them. Plain C. */
#ifndef LIBEVENT_IOCP_COMPAT_BUFFEREVENT_SLOT_H
#define LIBEVENT_IOCP_COMPAT_BUFFEREVENT_SLOT_H

#ifndef __cplusplus
/* Asked "is this base on a port", it moves the base there if libevent launched a port for it, and answers no: the
 * socket bufferevent is the one that is wanted, on a port too. */
#define event_base_get_iocp_ iocp_settle_base
/* The constructor is wrapped by ours. */
#define bufferevent_socket_new iocp_stock_bufferevent_socket_new
#define bufferevent_base_set iocp_stock_bufferevent_base_set
/* How bytes move. */
#define evbuffer_read iocp_evbuffer_read
#define evbuffer_write_atmost iocp_evbuffer_write_atmost

#include "event2/event-config.h"

#include "evconfig-private.h"

#include <winsock2.h>

#include "event2/buffer.h"
#include "event2/bufferevent.h"
#include "event2/event.h"

#include "bufferevent-internal.h"

/* Our table of operations makes a socket bufferevent no less of one. */
extern const struct bufferevent_ops iocp_bufferevent_ops;
int iocp_finished_connecting(struct bufferevent *bev, evutil_socket_t fd);
/* The caller's bufferevent is in a variable of this name. */
#define evutil_socket_finished_connecting_(fd) iocp_finished_connecting(bufev, fd)
#undef BEV_IS_SOCKET
#define BEV_IS_SOCKET(bevp) ((bevp)->be_ops == &bufferevent_ops_socket || (bevp)->be_ops == &iocp_bufferevent_ops)

#else

extern "C" {
struct bufferevent *iocp_stock_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd, int options);
int iocp_stock_bufferevent_base_set(struct event_base *base, struct bufferevent *bev);
struct event_iocp_port *iocp_settle_base(struct event_base *base);
int iocp_evbuffer_read(struct evbuffer *input, evutil_socket_t fd, int at_most);
int iocp_evbuffer_write_atmost(struct evbuffer *output, evutil_socket_t fd, ev_ssize_t at_most);
int iocp_finished_connecting(struct bufferevent *bev, evutil_socket_t fd);
extern const struct bufferevent_ops iocp_bufferevent_ops;
}

#endif
#endif
