#include "tls.h"

#include "accounting.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>

namespace {

constexpr unsigned char session_owner[] = "libevent-iocp";

void *allocate(size_t size, const char *, int)
{
    return accounting::allocate(size);
}

void *reallocate(void *memory, size_t size, const char *, int)
{
    return accounting::reallocate(memory, size);
}

void release(void *memory, const char *, int)
{
    accounting::release(memory);
}

SSL_CTX *complain(SSL_CTX *context, const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    printf("failed: %s: %s\n", what, text);
    SSL_CTX_free(context);
    return nullptr;
}

} // namespace

namespace tls {

void start()
{
    CRYPTO_set_mem_functions(allocate, reallocate, release);
    // OPENSSL_cleanup is called by us, while the count can still be read.
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

void finish()
{
    OPENSSL_thread_stop();
    OPENSSL_cleanup();
}

ssl_ctx_st *server_context(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return complain(context, certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return complain(context, key);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_session_id_context(context, session_owner, sizeof(session_owner) - 1);
    // OpenSSL 3 refuses it otherwise.
    SSL_CTX_set_options(context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    return context;
}

ssl_ctx_st *client_context(const char *trusted)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (SSL_CTX_load_verify_locations(context, trusted, nullptr) != 1)
        return complain(context, trusted);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    return context;
}

void free_context(ssl_ctx_st *context)
{
    SSL_CTX_free(context);
}

bufferevent *accepting(event_base *base, evutil_socket_t fd, ssl_ctx_st *context)
{
    SSL *ssl = SSL_new(context);
    bufferevent *bev = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        SSL_free(ssl);
    return bev;
}

bufferevent *connecting(event_base *base, ssl_ctx_st *context, const char *host)
{
    SSL *ssl = SSL_new(context);
    X509_VERIFY_PARAM *wanted = SSL_get0_param(ssl);
    // An address is another kind of name in a certificate, and not to be sent as a server's name.
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host) != 1) {
        X509_VERIFY_PARAM_set1_host(wanted, host, 0);
        SSL_set_tlsext_host_name(ssl, host);
    }
    bufferevent *bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        SSL_free(ssl);
    return bev;
}

counts server_counts(ssl_ctx_st *context)
{
    return {SSL_CTX_sess_accept_good(context), SSL_CTX_sess_hits(context), SSL_CTX_sess_accept_renegotiate(context)};
}

void forget_sessions(ssl_ctx_st *context)
{
    // At time 0 every session has expired.
    SSL_CTX_flush_sessions(context, 0);
}

} // namespace tls
