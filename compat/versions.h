/* What differs between the versions of libevent, as our sources and the seam see it: the only place with an #if about it.
 * tools/cmake/versions.cmake finds out what a source tree has. Plain C. */
#ifndef LIBEVENT_IOCP_COMPAT_VERSIONS_H
#define LIBEVENT_IOCP_COMPAT_VERSIONS_H

#if !defined(LIBEVENT_HAS_WEPOLL) || !defined(LIBEVENT_HAS_SHARED_TLS)
#error "tools/cmake/versions.cmake defines these"
#endif

/* What stands in event.c's table of backends under the name of win32's. The last one in the table has to be our second
 * entry: behind it stands wepoll where there is one, whose name our entry gets then. */
#if LIBEVENT_HAS_WEPOLL
#define IOCP_WIN32_BACKEND iocp_stock_wepoll_ops
#else
#define IOCP_WIN32_BACKEND iocp_last_resort_ops
#endif

/* The operations of a TLS bufferevent: those of OpenSSL alone, or shared with other libraries. */
#if LIBEVENT_HAS_SHARED_TLS
#define bufferevent_ops_openssl bufferevent_ops_ssl
#endif

#endif
