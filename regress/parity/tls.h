// TLS for the guarantees: a context whose self-signed certificate is made in memory, bufferevents over it, and a far
// end that is plain OpenSSL on a socket.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_TLS_H
#define LIBEVENT_IOCP_REGRESS_PARITY_TLS_H

#include "guarantees.h"

#include <event2/bufferevent_ssl.h>

#include <openssl/ssl.h>

namespace parity {

enum class tls_mode { socket, filter };
constexpr tls_mode tls_modes[] = {tls_mode::socket, tls_mode::filter};

struct tls_end {
    SSL *ssl;
    connection *on;
    bool shaken;
    bool ended;  // by close_notify
    bool broken; // by an error, or an end without close_notify
};

struct tls_pair {
    record one;
    tls_end peer;
};

// One context for both sides of the process; clients verify the certificate.
SSL_CTX *tls_context();
// For a bufferevent or a peer; `version` is a TLS1_..._VERSION, or 0 for the highest.
SSL *tls_new(int version = 0);

// The descriptor may be -1.
struct bufferevent *tls_bufferevent(struct event_base *base, evutil_socket_t fd, SSL *ssl, tls_mode mode,
                                    bufferevent_ssl_state state, int options);
// A bufferevent on a connected socket, the handshake not begun. The pair must outlive it.
bool tls_open(struct event_base *base, tls_pair *into, tls_mode mode, bufferevent_ssl_state state, int options,
              int version = 0);
// The same without a descriptor: it connects, and tls_accept makes the peer.
bool tls_open_unconnected(struct event_base *base, tls_pair *into, int options);
bool tls_accept(tls_pair *into);
// The plain end of a connection; a server unless `as_client`.
bool tls_peer_on(tls_end *into, connection *on, bool as_client, int version = 0);
// Turns until both have ended their handshake.
bool tls_shake(struct event_base *base, tls_pair *of);
bool tls_connect(struct event_base *base, tls_pair *into, tls_mode mode, int options, int version = 0);
void tls_close(tls_pair *of);
void tls_end_close(tls_end *of);

// Without waiting. Each is true when it got somewhere.
bool tls_peer_shakes(tls_end *peer);
bool tls_peer_writes(tls_end *peer, const std::string &data, size_t *sent);
bool tls_peer_receives(tls_end *peer, std::string *got);

bool tls_peer_sends(struct event_base *base, tls_end *peer, const std::string &data);
// As peer_reads and peer_reads_to_the_end.
bool tls_peer_reads(struct event_base *base, tls_end *peer, std::string *got, size_t length);
bool tls_peer_reads_to_the_end(struct event_base *base, tls_end *peer, std::string *got);
// A few bytes each way.
bool tls_talk(struct event_base *base, tls_pair *of);

} // namespace parity

#endif
