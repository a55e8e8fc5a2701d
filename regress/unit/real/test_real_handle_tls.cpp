// TLS over a pipe on the real kernel: bufferevent_openssl_filter_new upon a handle's bufferevent, at both ends. The two
// share a key, so that no certificate is needed.
#include "real/pipe_pair.h"

#include <event2/bufferevent_ssl.h>

#include <openssl/ssl.h>

using namespace real;

namespace {

constexpr char key[] = "a key of both ends";

unsigned give_key(unsigned char *into, unsigned room)
{
    assert_true(room >= sizeof(key));
    memcpy(into, key, sizeof(key));
    return sizeof(key);
}

unsigned client_key(SSL *, const char *, char *identity, unsigned identity_room, unsigned char *into, unsigned room)
{
    snprintf(identity, identity_room, "client");
    return give_key(into, room);
}

unsigned server_key(SSL *, const char *, unsigned char *into, unsigned room)
{
    return give_key(into, room);
}

SSL_CTX *make_context()
{
    SSL_CTX *made = SSL_CTX_new(TLS_method());
    SSL_CTX_set_max_proto_version(made, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(made, "PSK-AES128-GCM-SHA256"), 1);
    SSL_CTX_set_psk_client_callback(made, client_key);
    SSL_CTX_set_psk_server_callback(made, server_key);
    return made;
}

struct tls_end {
    struct bufferevent *bev;
    std::string heard;
    short what;
    size_t stop;
};

void on_read(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<tls_end *>(argument);
    char bytes[4096];
    while (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)))
        self->heard.append(bytes, got);
    if (self->heard.size() >= self->stop)
        event_base_loopbreak(base);
}

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *self = static_cast<tls_end *>(argument);
    self->what = static_cast<short>(self->what | what);
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
        event_base_loopbreak(base);
}

void open_end(tls_end *self, HANDLE handle, SSL_CTX *context, bufferevent_ssl_state state)
{
    *self = tls_end();
    self->stop = SIZE_MAX;
    struct bufferevent *below = bufferevent_iocp_handle_new(base, handle, BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(below);
    self->bev = bufferevent_openssl_filter_new(base, below, SSL_new(context), state, BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(self->bev);
    bufferevent_setcb(self->bev, on_read, nullptr, on_event, self);
    bufferevent_enable(self->bev, EV_READ | EV_WRITE);
}

void hear_all(tls_end *self, const std::string &expected)
{
    self->stop = expected.size();
    if (self->heard.size() < self->stop)
        assert_true(run_loop());
    assert_true(self->heard == expected);
    assert_int_equal(self->what, BEV_EVENT_CONNECTED);
}

void bytes_by_tls(void **)
{
    SSL_CTX *context = make_context();
    pipe_ends ends = make_pipe();
    tls_end server, client;
    open_end(&server, ends.server, context, BUFFEREVENT_SSL_ACCEPTING);
    open_end(&client, ends.client, context, BUFFEREVENT_SSL_CONNECTING);
    std::string up = pattern(1024 * 1024, 1), down = pattern(500000, 2);
    bufferevent_write(client.bev, up.data(), up.size());
    bufferevent_write(server.bev, down.data(), down.size());
    hear_all(&server, up);
    hear_all(&client, down);
    bufferevent_free(client.bev);
    assert_true(gets_closed(ends.client));
    if ((server.what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
        assert_true(run_loop());
    assert_true((server.what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0);
    bufferevent_free(server.bev);
    assert_true(gets_closed(ends.server));
    SSL_CTX_free(context);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(bytes_by_tls, set_up, tear_down)};
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
