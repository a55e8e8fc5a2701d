/* Force-included into libevent's listener.c: the names under which its calls reach ours. Also included by the file that
 * defines them. Plain C. */
#ifndef LIBEVENT_IOCP_COMPAT_LISTENER_SLOT_H
#define LIBEVENT_IOCP_COMPAT_LISTENER_SLOT_H

#ifndef __cplusplus
/* As in bufferevent_slot.h: the plain listener is the one that is wanted, on a port too. */
#define event_base_get_iocp_ iocp_settle_base
/* Wrapped by ours. */
#define evconnlistener_new iocp_stock_evconnlistener_new
#define evconnlistener_new_bind iocp_stock_evconnlistener_new_bind
#define evconnlistener_free iocp_stock_evconnlistener_free
/* Where connections come from. */
#define evutil_accept4_ iocp_accept4
/* And why there is none: the stock function asks the socket once more. */
#define evutil_socket_geterror iocp_accept_error

#else

extern "C" {
struct evconnlistener *iocp_stock_evconnlistener_new(struct event_base *base, evconnlistener_cb callback,
                                                     void *argument, unsigned flags, int backlog, evutil_socket_t fd);
struct evconnlistener *iocp_stock_evconnlistener_new_bind(struct event_base *base, evconnlistener_cb callback,
                                                          void *argument, unsigned flags, int backlog,
                                                          const struct sockaddr *address, int length);
void iocp_stock_evconnlistener_free(struct evconnlistener *listener);
evutil_socket_t iocp_accept4(evutil_socket_t fd, struct sockaddr *address, ev_socklen_t *length, int flags);
int iocp_accept_error(evutil_socket_t fd);
}

#endif
#endif
