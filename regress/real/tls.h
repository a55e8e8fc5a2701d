// TLS for the programs in this folder: contexts, and bufferevents on them as a program makes its own.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_TLS_H
#define LIBEVENT_IOCP_REGRESS_REAL_TLS_H

#include <stddef.h>

#include <event2/util.h>

struct bufferevent;
struct event_base;
struct ssl_ctx_st;

namespace tls {

// Has OpenSSL's memory counted with libevent's. To be called before anything else of OpenSSL.
void start();
// Frees what OpenSSL keeps for the process; nothing of it may be used afterwards.
void finish();

// A server's, with session tickets, a session cache, and renegotiation where the client asks for it; nullptr, and a
// line on standard output, if the files cannot be used.
ssl_ctx_st *server_context(const char *certificate, const char *key);
// A client's, which trusts the certificates in the file and nobody else.
ssl_ctx_st *client_context(const char *trusted);
void free_context(ssl_ctx_st *context);

// A server's end of a connection; closes its socket when it is freed.
bufferevent *accepting(event_base *base, evutil_socket_t fd, ssl_ctx_st *context);
// A client's end, which wants the server to be the named one.
bufferevent *connecting(event_base *base, ssl_ctx_st *context, const char *host);

// What a server has seen since it began.
struct counts {
    long handshakes;
    long resumed;
    long renegotiated;
};
counts server_counts(ssl_ctx_st *context);
// Drops the sessions that are kept.
void forget_sessions(ssl_ctx_st *context);

} // namespace tls

#endif
