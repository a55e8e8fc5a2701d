/* Force-included into libevent's http.c: evhttp's own bufferevents are told apart. Also included by the files that
 * define the names. Plain C.
 *
 * evhttp makes them without BEV_OPT_CLOSE_ON_FREE, but closes their descriptor itself and reads through the bufferevent
 * alone. So they are bufferevents that own their descriptor, and so are those that a program makes for it. */
#ifndef LIBEVENT_IOCP_COMPAT_HTTP_SLOT_H
#define LIBEVENT_IOCP_COMPAT_HTTP_SLOT_H

#ifndef __cplusplus

#include "event2/event-config.h"

#include "evconfig-private.h"

#include <winsock2.h>
/* winsock2.h comes first: its own declarations of what is renamed here. */
#include <ws2tcpip.h>

#include "event2/bufferevent.h"

#define bufferevent_socket_new iocp_http_bufferevent_socket_new
#define bufferevent_setfd iocp_http_bufferevent_setfd
#define shutdown iocp_http_shutdown

struct bufferevent *iocp_http_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd, int options);
int iocp_http_bufferevent_setfd(struct bufferevent *bev, evutil_socket_t fd);
int iocp_http_shutdown(evutil_socket_t fd, int how);

#else

extern "C" {
struct bufferevent *iocp_http_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd, int options);
int iocp_http_bufferevent_setfd(struct bufferevent *bev, evutil_socket_t fd);
int iocp_http_shutdown(evutil_socket_t fd, int how);
}

#endif
#endif
