/* Force-included into libevent's bufferevent_openssl.c, and where TLS libraries share a bufferevent_ssl.c into that:
 * the names under which their calls reach ours. Also included by the file that defines them. Plain C. */
#ifndef LIBEVENT_IOCP_COMPAT_OPENSSL_SLOT_H
#define LIBEVENT_IOCP_COMPAT_OPENSSL_SLOT_H

#ifndef __cplusplus
/* The constructor is wrapped by ours. */
#define bufferevent_openssl_socket_new iocp_stock_bufferevent_openssl_socket_new
/* Called when output has been encrypted, before anybody is told: time to send it. */
#define evbuffer_drain iocp_tls_drain

#include "event2/event-config.h"

#include "evconfig-private.h"

#include <winsock2.h>

#include "event2/buffer.h"
#include "event2/bufferevent.h"
#include "event2/bufferevent_ssl.h"
#include "event2/event.h"

#include "bufferevent-internal.h"

/* Our table of operations makes a TLS bufferevent no less of one. (Where the file is shared, libevent goes by the name
 * that the table has, which ours has too.) */
extern const struct bufferevent_ops iocp_bufferevent_ops_openssl;
#undef BEV_IS_OPENSSL
#define BEV_IS_OPENSSL(bevp)                                                                                           \
    ((bevp)->be_ops == &bufferevent_ops_openssl || (bevp)->be_ops == &iocp_bufferevent_ops_openssl)

#else

#include "event2/bufferevent_ssl.h"

#include "compat/versions.h"

extern "C" {
extern const struct bufferevent_ops bufferevent_ops_openssl;
struct bufferevent *iocp_stock_bufferevent_openssl_socket_new(struct event_base *base, evutil_socket_t fd,
                                                              struct ssl_st *ssl, enum bufferevent_ssl_state state,
                                                              int options);
int iocp_tls_drain(struct evbuffer *output, size_t length);
extern const struct bufferevent_ops iocp_bufferevent_ops_openssl;
}

#endif
#endif
