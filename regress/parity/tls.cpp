#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace parity {

namespace {

constexpr long validity = 24 * 60 * 60;
constexpr int read_size = 16384;

X509 *self_signed(EVP_PKEY *key)
{
    X509 *made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -validity);
    X509_gmtime_adj(X509_getm_notAfter(made), validity);
    X509_set_pubkey(made, key);
    X509_NAME *name = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char *>("localhost"), -1, -1,
                               0);
    X509_set_issuer_name(made, name);
    return X509_sign(made, key, EVP_sha256()) != 0 ? made : nullptr;
}

SSL_CTX *make_context()
{
    SSL_CTX *made = SSL_CTX_new(TLS_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key != nullptr ? self_signed(key) : nullptr;
    if (made == nullptr || certificate == nullptr || SSL_CTX_use_certificate(made, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(made, key) != 1 || X509_STORE_add_cert(SSL_CTX_get_cert_store(made), certificate) != 1) {
        ERR_print_errors_fp(stdout);
        return nullptr;
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    SSL_CTX_set_options(made, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return made;
}

void note_outcome(tls_end *peer, int result)
{
    int error = SSL_get_error(peer->ssl, result);
    peer->ended = peer->ended || error == SSL_ERROR_ZERO_RETURN;
    peer->broken = peer->broken || error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
    ERR_clear_error();
}

} // namespace

SSL_CTX *tls_context()
{
    static SSL_CTX *const made = make_context();
    return made;
}

SSL *tls_new(int version)
{
    SSL *made = tls_context() != nullptr ? SSL_new(tls_context()) : nullptr;
    if (made != nullptr && version != 0) {
        SSL_set_min_proto_version(made, version);
        SSL_set_max_proto_version(made, version);
    }
    return made;
}

struct bufferevent *tls_bufferevent(struct event_base *base, evutil_socket_t fd, SSL *ssl, tls_mode mode,
                                    bufferevent_ssl_state state, int options)
{
    if (mode == tls_mode::socket)
        return bufferevent_openssl_socket_new(base, fd, ssl, state, options);
    // The one below shares the lock and is freed with the one above.
    struct bufferevent *below = bufferevent_socket_new(base, fd, options);
    return below != nullptr ? bufferevent_openssl_filter_new(base, below, ssl, state, options) : nullptr;
}

bool tls_open(struct event_base *base, tls_pair *into, tls_mode mode, bufferevent_ssl_state state, int options,
              int version)
{
    *into = {};
    static int id = 1000;
    record *one = &into->one;
    SSL *ssl = tls_new(version);
    if (ssl == nullptr || !connection_make(&one->on, ++id))
        return false;
    if (state == BUFFEREVENT_SSL_CONNECTING)
        SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
    one->bev = tls_bufferevent(base, static_cast<evutil_socket_t>(one->on.near_end), ssl, mode, state, options);
    if (one->bev == nullptr)
        return false;
    one->on.near_closed = (options & BEV_OPT_CLOSE_ON_FREE) != 0;
    note_callbacks(one);
    return tls_peer_on(&into->peer, &one->on, state == BUFFEREVENT_SSL_ACCEPTING, version);
}

bool tls_open_unconnected(struct event_base *base, tls_pair *into, int options)
{
    *into = {};
    record *one = &into->one;
    one->on.near_end = one->on.far_end = INVALID_SOCKET;
    one->on.near_closed = (options & BEV_OPT_CLOSE_ON_FREE) != 0;
    SSL *ssl = tls_new();
    if (ssl == nullptr)
        return false;
    SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
    one->bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, options);
    if (one->bev != nullptr)
        note_callbacks(one);
    return one->bev != nullptr;
}

bool tls_accept(tls_pair *into)
{
    tls_end_close(&into->peer);
    return connection_accept(&into->one.on) && tls_peer_on(&into->peer, &into->one.on, false);
}

bool tls_peer_on(tls_end *into, connection *on, bool as_client, int version)
{
    *into = {};
    into->on = on;
    into->ssl = tls_new(version);
    if (into->ssl == nullptr)
        return false;
    if (as_client) {
        SSL_set_verify(into->ssl, SSL_VERIFY_PEER, nullptr);
        SSL_set_connect_state(into->ssl);
    } else {
        SSL_set_accept_state(into->ssl);
    }
    return SSL_set_fd(into->ssl, static_cast<int>(on->far_end)) == 1;
}

bool tls_shake(struct event_base *base, tls_pair *of)
{
    int before = of->one.connected;
    bufferevent_enable(of->one.bev, EV_READ | EV_WRITE);
    bool done = run_until(base, [&] {
        return (tls_peer_shakes(&of->peer) && of->one.connected > before) || of->one.errors > 0 || of->peer.broken;
    });
    return done && of->one.errors == 0 && !of->peer.broken;
}

bool tls_connect(struct event_base *base, tls_pair *into, tls_mode mode, int options, int version)
{
    return tls_open(base, into, mode, BUFFEREVENT_SSL_CONNECTING, options, version) && tls_shake(base, into);
}

void tls_end_close(tls_end *of)
{
    SSL_free(of->ssl);
    of->ssl = nullptr;
}

void tls_close(tls_pair *of)
{
    close_pair(&of->one);
    tls_end_close(&of->peer);
}

bool tls_peer_shakes(tls_end *peer)
{
    if (!peer->shaken && !peer->broken) {
        int result = SSL_do_handshake(peer->ssl);
        peer->shaken = result == 1;
        if (result != 1)
            note_outcome(peer, result);
    }
    return peer->shaken;
}

bool tls_peer_writes(tls_end *peer, const std::string &data, size_t *sent)
{
    if (*sent == data.size() || peer->broken)
        return false;
    int result = SSL_write(peer->ssl, data.data() + *sent, static_cast<int>(data.size() - *sent));
    if (result <= 0)
        note_outcome(peer, result);
    *sent += result > 0 ? static_cast<size_t>(result) : 0;
    return result > 0;
}

bool tls_peer_receives(tls_end *peer, std::string *got)
{
    if (peer->ended || peer->broken)
        return false;
    char buffer[read_size];
    int result = SSL_read(peer->ssl, buffer, sizeof(buffer));
    if (result <= 0)
        note_outcome(peer, result);
    else
        got->append(buffer, static_cast<size_t>(result));
    return result > 0;
}

bool tls_peer_sends(struct event_base *base, tls_end *peer, const std::string &data)
{
    size_t sent = 0;
    run_until(base, [&] {
        while (tls_peer_writes(peer, data, &sent))
            continue;
        return sent == data.size() || peer->broken;
    });
    return sent == data.size();
}

bool tls_peer_reads(struct event_base *base, tls_end *peer, std::string *got, size_t length)
{
    run_until(base, [&] {
        while (got->size() < length && tls_peer_receives(peer, got))
            continue;
        return got->size() >= length || peer->ended || peer->broken;
    });
    return got->size() >= length;
}

bool tls_peer_reads_to_the_end(struct event_base *base, tls_end *peer, std::string *got)
{
    return run_until(base, [&] {
        while (tls_peer_receives(peer, got))
            continue;
        return peer->ended || peer->broken;
    });
}

bool tls_talk(struct event_base *base, tls_pair *of)
{
    static int id = 5000;
    std::string sent = pattern(++id, 0, 3000), got;
    bufferevent_write(of->one.bev, sent.data(), sent.size());
    if (!tls_peer_reads(base, &of->peer, &got, sent.size()) || got != sent)
        return false;
    of->one.data.clear();
    return tls_peer_sends(base, &of->peer, sent) &&
           run_until(base, [&] { return of->one.data.size() == sent.size(); }) && of->one.data == sent;
}

} // namespace parity
