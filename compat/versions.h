/* What differs between the versions of libevent, as our sources and the seam see it: the only place with an #if about
 * it. tools/cmake/versions.cmake finds out what a source tree has. Plain C. */
#ifndef LIBEVENT_IOCP_COMPAT_VERSIONS_H
#define LIBEVENT_IOCP_COMPAT_VERSIONS_H

#if !defined(LIBEVENT_HAS_WEPOLL) || !defined(LIBEVENT_HAS_SHARED_TLS)
#error "tools/cmake/versions.cmake defines these"
#endif
#if !defined(HAVE_CONFIG_H) || (defined(_MSC_VER) && !defined(_CRT_SECURE_NO_WARNINGS))
#error "what libevent defines for its own sources has to reach ours (libevent_flags in tools/cmake/libraries.cmake)"
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

/* A loop calls functions of the program's before it asks the backend, with the base's lock let go of once. */
#if LIBEVENT_HAS_WATCHERS
#define IOCP_LOOP_CALLS_FIRST(base) (!TAILQ_EMPTY(&(base)->watchers[EVWATCH_PREPARE]))
#else
#define IOCP_LOOP_CALLS_FIRST(base) false
#endif

/* What one read adds to an evbuffer at most, where its program can say so. */
#if LIBEVENT_HAS_MAX_READ
#define IOCP_MOST_OF_A_READ(input) ((input)->max_read)
#else
#define IOCP_MOST_OF_A_READ(input) ((size_t)INT_MAX)
#endif

/* For the programs in regress/real: what a tree lacks is named all the same, and what it calls otherwise. */
#if !LIBEVENT_HAS_DNS_OVER_TCP
#define evdns_add_server_port_with_listener(base, listener, flags, callback, argument)                                 \
    ((struct evdns_server_port *)NULL)
#endif
#if LIBEVENT_HAS_WEBSOCKETS && !LIBEVENT_HAS_WEBSOCKET_KINDS
#define evws_send_binary evws_send
#define evws_send_text(session, text) evws_send(session, text, strlen(text))
#endif

#endif
