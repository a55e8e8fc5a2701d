/* Force-included into libevent's http.c: evhttp's own bufferevents are told apart. Also included by the file that defines
 * the name. Plain C.
 *
 * evhttp makes them without BEV_OPT_CLOSE_ON_FREE, but closes their descriptor itself and reads through the bufferevent
 * alone. So bytes may be received before they are asked for, as on a bufferevent that owns its descriptor. */
#ifndef LIBEVENT_IOCP_COMPAT_HTTP_SLOT_H
#define LIBEVENT_IOCP_COMPAT_HTTP_SLOT_H

#ifndef __cplusplus
#define bufferevent_socket_new iocp_http_bufferevent_socket_new
#else

extern "C" {
struct bufferevent *iocp_http_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd, int options);
}

#endif
#endif
