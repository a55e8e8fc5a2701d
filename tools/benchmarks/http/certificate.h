#ifndef LIBEVENT_IOCP_BENCH_CERTIFICATE_H
#define LIBEVENT_IOCP_BENCH_CERTIFICATE_H

#include <openssl/ssl.h>

namespace bench {

// A server's context with a key and a certificate made on the spot: RSA of so many bits, or P-256. NULL if OpenSSL fails.
SSL_CTX *self_signed_context(unsigned rsa_bits = 0);

} // namespace bench

#endif
