/* Force-included into libevent's listener.c: the names under which its calls reach ours. Also included by the file that
 * defines them. Plain C. */
#ifndef LIBEVENT_IOCP_COMPAT_LISTENER_SLOT_H
#define LIBEVENT_IOCP_COMPAT_LISTENER_SLOT_H

#ifndef __cplusplus
#include "event2/event-config.h"

#include "evconfig-private.h"

#include <winsock2.h>

#include "event2/event.h"
#include "event2/util.h"
#include "util-internal.h"

/* Called for the event of a listener alone, which is told apart from a program's own by its callback. */
#define event_assign iocp_listener_event_assign
/* As in bufferevent_slot.h: the plain listener is the one that is wanted, on a port too. */
#define event_base_get_iocp_ iocp_settle_base
/* Wrapped by ours. */
#define evconnlistener_new iocp_stock_evconnlistener_new
#define evconnlistener_new_bind iocp_stock_evconnlistener_new_bind
#define evconnlistener_free iocp_stock_evconnlistener_free
#define evconnlistener_enable iocp_stock_evconnlistener_enable
#define evconnlistener_disable iocp_stock_evconnlistener_disable
#define evconnlistener_set_cb iocp_stock_evconnlistener_set_cb
#define evconnlistener_set_error_cb iocp_stock_evconnlistener_set_error_cb
/* Where connections come from, and why there is none: the stock function asks the socket once more. Both are called by
 * listener_read_cb alone, whose argument is `lev`. */
#define iocp_base_of_lev event_get_base(&EVUTIL_UPCAST(lev, struct evconnlistener_event, base)->listener)
#define evutil_accept4_(fd, address, length, flags) iocp_accept4(iocp_base_of_lev, fd, address, length, flags)
#define evutil_socket_geterror(fd) iocp_accept_error(iocp_base_of_lev, fd)
#endif

#ifdef __cplusplus
extern "C" {
#endif
struct event;
struct event_base;
struct sockaddr;
evutil_socket_t iocp_accept4(struct event_base *base, evutil_socket_t fd, struct sockaddr *address,
                             ev_socklen_t *length, int flags);
int iocp_accept_error(struct event_base *base, evutil_socket_t fd);
int iocp_listener_event_assign(struct event *assigned, struct event_base *base, evutil_socket_t fd, short events,
                               void (*callback)(evutil_socket_t, short, void *), void *listener);
#ifdef __cplusplus
struct evconnlistener *iocp_stock_evconnlistener_new(struct event_base *base, evconnlistener_cb callback,
                                                     void *argument, unsigned flags, int backlog, evutil_socket_t fd);
struct evconnlistener *iocp_stock_evconnlistener_new_bind(struct event_base *base, evconnlistener_cb callback,
                                                          void *argument, unsigned flags, int backlog,
                                                          const struct sockaddr *address, int length);
void iocp_stock_evconnlistener_free(struct evconnlistener *listener);
int iocp_stock_evconnlistener_enable(struct evconnlistener *listener);
int iocp_stock_evconnlistener_disable(struct evconnlistener *listener);
void iocp_stock_evconnlistener_set_cb(struct evconnlistener *listener, evconnlistener_cb callback, void *argument);
void iocp_stock_evconnlistener_set_error_cb(struct evconnlistener *listener, evconnlistener_errorcb callback);
}
#endif

#endif
