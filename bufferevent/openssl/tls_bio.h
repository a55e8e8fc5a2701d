// OpenSSL's way to the network (a BIO) for a socket on a port: it reads and writes the socket's stream, or the socket
// itself where that has none. It takes the place of the socket BIO that libevent makes, and looks like one: it has a
// descriptor (BIO_get_fd, SSL_get_fd), and never closes it.
//
// Bytes that the stream had received when it went, and that OpenSSL has not asked for yet, stay with the BIO.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_OPENSSL_TLS_BIO_H
#define LIBEVENT_IOCP_BUFFEREVENT_OPENSSL_TLS_BIO_H

#include "backend/socket_registry.h"

#include <openssl/bio.h>

namespace iocp {

// `holder`: the bufferevent whose stream it uses. If the program puts another BIO in its place, the stream steps aside.
// NULL for want of memory.
BIO *tls_bio_new(evutil_socket_t fd, const void *holder);
// A bufferevent on the same SSL takes over from the one before.
void tls_bio_set_holder(BIO *bio, const void *holder);
bool is_tls_bio(BIO *bio);

// Hands it bytes to be read first, or takes back what is left of them. The bytes change hands.
void tls_bio_keep(BIO *bio, early_data bytes);
early_data tls_bio_take_kept(BIO *bio);

} // namespace iocp

#endif
