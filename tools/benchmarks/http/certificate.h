#ifndef LIBEVENT_IOCP_BENCH_CERTIFICATE_H
#define LIBEVENT_IOCP_BENCH_CERTIFICATE_H

#include <openssl/ssl.h>

namespace bench {

// A server's context with a key and a certificate made on the spot. NULL if OpenSSL fails.
SSL_CTX *self_signed_context();

} // namespace bench

#endif
