// OpenSSL's way to the network (a BIO) for a socket on a port: it reads and writes the socket's stream, or the socket
// itself where that has none. It takes the place of the socket BIO that libevent makes, and looks like one: it has a
// descriptor (BIO_get_fd, SSL_get_fd), and never closes it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_OPENSSL_TLS_BIO_H
#define LIBEVENT_IOCP_BUFFEREVENT_OPENSSL_TLS_BIO_H

#include "compat/libevent.h"

#include <openssl/bio.h>

namespace iocp {

struct stream;

// NULL for want of memory.
BIO *tls_bio_new(evutil_socket_t fd);
// The stream that it uses from now on, for as long as that is there. If the program puts another BIO in its place, the
// stream steps aside. False for want of memory. With the base's lock held.
bool tls_bio_set_stream(BIO *bio, stream *used);
bool is_tls_bio(BIO *bio);

} // namespace iocp

#endif
