// OpenSSL bufferevents: bytes, handshakes amid them, and threads. The echoes belong to report 412.
#include "tls.h"

#include <stdlib.h>

namespace parity {

namespace {

constexpr size_t echoed = 10 * 1024 * 1024;
constexpr size_t max_piece = 60 * 1024;
constexpr int stream = 3;
constexpr int writers = 4;
constexpr int lines_of_a_writer = 200;

void echo(struct bufferevent *bev, void *)
{
    bufferevent_read_buffer(bev, bufferevent_get_output(bev));
}

void replace_read_callback(struct bufferevent *bev, bufferevent_data_cb callback)
{
    bufferevent_event_cb on_event;
    void *argument;
    bufferevent_getcb(bev, nullptr, nullptr, &on_event, &argument);
    bufferevent_setcb(bev, callback, nullptr, on_event, argument);
}

// What the far end sends and gets back, made and compared as it goes.
struct echo_stream {
    std::string out, in;
    size_t made, sent, compared;
    bool wrong;
};

void compare(echo_stream *of)
{
    of->wrong = of->wrong || of->in != pattern(stream, of->compared, of->in.size());
    of->compared += of->in.size();
    of->in.clear();
}

bool step(tls_end *peer, echo_stream *of)
{
    constexpr int max_steps = 64;
    for (int i = 0; i < max_steps; ++i) {
        if (of->sent == of->out.size() && of->made < echoed) {
            size_t piece = static_cast<size_t>(rand()) % max_piece + 1;
            of->out = pattern(stream, of->made, piece < echoed - of->made ? piece : echoed - of->made);
            of->made += of->out.size();
            of->sent = 0;
        }
        bool moved = tls_peer_writes(peer, of->out, &of->sent);
        moved = tls_peer_receives(peer, &of->in) || moved;
        compare(of);
        if (!moved)
            break;
    }
    return of->compared == echoed || of->wrong || peer->broken || peer->ended;
}

bool echoes(struct event_base *base, tls_mode mode, bufferevent_ssl_state state, int version, int options)
{
    tls_pair two;
    REQUIRE(tls_open(base, &two, mode, state, BEV_OPT_CLOSE_ON_FREE | options, version));
    REQUIRE(tls_shake(base, &two));
    replace_read_callback(two.one.bev, echo);
    echo_stream all = {};
    REQUIRE(run_until(base, [&] { return step(&two.peer, &all); }));
    REQUIRE(!all.wrong && all.compared == echoed);
    REQUIRE(two.one.errors == 0 && two.one.ended == 0 && !two.one.wrong_thread);
    tls_close(&two);
    return true;
}

bool row412_tls_echo_on_a_socket(struct event_base *base)
{
    return echoes(base, tls_mode::socket, BUFFEREVENT_SSL_ACCEPTING, TLS1_3_VERSION, 0);
}

bool row412_tls_echo_on_a_socket_as_client(struct event_base *base)
{
    return echoes(base, tls_mode::socket, BUFFEREVENT_SSL_CONNECTING, TLS1_2_VERSION, 0);
}

bool row412_tls_echo_on_a_filter(struct event_base *base)
{
    return echoes(base, tls_mode::filter, BUFFEREVENT_SSL_ACCEPTING, TLS1_3_VERSION, 0);
}

bool row412_tls_echo_on_a_filter_as_client(struct event_base *base)
{
    return echoes(base, tls_mode::filter, BUFFEREVENT_SSL_CONNECTING, TLS1_2_VERSION, 0);
}

bool tls_echo_with_deferred_callbacks(struct event_base *base)
{
    return echoes(base, tls_mode::socket, BUFFEREVENT_SSL_ACCEPTING, TLS1_3_VERSION,
                  BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
}

bool tls_callbacks_are_deferred(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
        REQUIRE(tls_peer_sends(base, &two.peer, "hello"));
        two.one.inside_call = true;
        for (int i = 0; i < 20; ++i) {
            bufferevent_disable(two.one.bev, EV_READ | EV_WRITE);
            bufferevent_write(two.one.bev, "x", 1);
            bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
        }
        two.one.inside_call = false;
        REQUIRE(run_until(base, [&] { return two.one.data == "hello"; }));
        std::string got;
        REQUIRE(tls_peer_reads(base, &two.peer, &got, 20) && got == std::string(20, 'x'));
        REQUIRE(!two.one.called_inside && !two.one.wrong_thread);
        tls_close(&two);
    }
    return true;
}

bool tls_both_ends_are_bufferevents(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        connection on = {};
        record ends[2] = {};
        REQUIRE(connection_make(&on, 5));
        for (int i = 0; i < 2; ++i) {
            auto fd = static_cast<evutil_socket_t>(i == 0 ? on.near_end : on.far_end);
            auto state = i == 0 ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING;
            struct bufferevent *below =
                mode == tls_mode::filter ? bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE) : nullptr;
            ends[i].bev = mode == tls_mode::filter
                              ? bufferevent_openssl_filter_new(base, below, tls_new(), state, BEV_OPT_CLOSE_ON_FREE)
                              : bufferevent_openssl_socket_new(base, fd, tls_new(), state, BEV_OPT_CLOSE_ON_FREE);
            REQUIRE(ends[i].bev != nullptr);
            note_callbacks(&ends[i]);
            bufferevent_enable(ends[i].bev, EV_READ | EV_WRITE);
        }
        std::string large = pattern(4, 0, 2 * 1024 * 1024);
        for (const record &end : ends)
            bufferevent_write(end.bev, large.data(), large.size());
        REQUIRE(run_until(base, [&] { return ends[0].data.size() + ends[1].data.size() >= 2 * large.size(); }));
        for (const record &end : ends) {
            REQUIRE(end.data == large && end.connected == 1 && end.errors + end.ended == 0);
            bufferevent_free(end.bev);
        }
    }
    return true;
}

// On a filter libevent only begins it with the next bytes that come from the peer.
bool tls_renegotiates(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE, TLS1_2_VERSION));
    std::string got;
    for (int i = 2; i < 5; ++i) {
        REQUIRE(tls_talk(base, &two));
        REQUIRE(bufferevent_ssl_renegotiate(two.one.bev) == 0);
        REQUIRE(run_until(base, [&] {
            tls_peer_receives(&two.peer, &got); // the peer's side of the handshake
            return two.one.connected == i || two.one.errors > 0;
        }));
        REQUIRE(two.one.errors == 0 && two.one.connected == i);
    }
    REQUIRE(SSL_total_renegotiations(bufferevent_openssl_get_ssl(two.one.bev)) == 3);
    REQUIRE(tls_talk(base, &two) && got.empty());
    tls_close(&two);
    return true;
}

// Asked for by the peer, so that a handshake runs within the bufferevent's reading.
bool tls_peer_renegotiates(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE, TLS1_2_VERSION));
        std::string got;
        for (int i = 0; i < 3; ++i) {
            REQUIRE(tls_talk(base, &two));
            REQUIRE(SSL_renegotiate(two.peer.ssl) == 1);
            two.peer.shaken = false;
            REQUIRE(run_until(base, [&] {
                if (tls_peer_shakes(&two.peer)) // has asked; the rest happens as it reads
                    tls_peer_receives(&two.peer, &got);
                return two.peer.broken || SSL_renegotiate_pending(two.peer.ssl) == 0;
            }));
        }
        REQUIRE(!two.peer.broken && two.one.errors == 0 && two.one.connected == 1);
        REQUIRE(SSL_total_renegotiations(two.peer.ssl) == 3);
        REQUIRE(tls_talk(base, &two) && got.empty());
        tls_close(&two);
    }
    return true;
}

// Nothing is called back while reading is off, and no byte is lost.
bool tls_quiet_when_disabled(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        std::string all;
        for (int i = 0; i < 20; ++i) {
            std::string more = pattern(i, 0, 5000);
            all += more;
            bufferevent_disable(two.one.bev, EV_READ);
            int reads = two.one.reads;
            REQUIRE(tls_peer_sends(base, &two.peer, more));
            some_turns(base);
            REQUIRE(two.one.reads == reads);
            bufferevent_enable(two.one.bev, EV_READ);
            REQUIRE(run_until(base, [&] { return two.one.data.size() == all.size(); }));
        }
        REQUIRE(two.one.data == all);
        tls_close(&two);
    }
    return true;
}

struct writer {
    struct bufferevent *bev;
    int number;
};

DWORD WINAPI write_lines(void *argument)
{
    auto *self = static_cast<writer *>(argument);
    for (int i = 0; i < lines_of_a_writer; ++i) {
        std::string line(static_cast<size_t>(50 + i), static_cast<char>('a' + self->number));
        line += '\n';
        bufferevent_write(self->bev, line.data(), line.size());
    }
    return 0;
}

bool lines_are_whole(const std::string &got)
{
    for (size_t at = 0; at < got.size();) {
        size_t end = got.find('\n', at);
        if (end == std::string::npos || got.find_first_not_of(got[at], at) != end)
            return false;
        at = end + 1;
    }
    return true;
}

bool tls_writes_from_threads(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE));
        writer all[writers];
        HANDLE threads[writers];
        for (int i = 0; i < writers; ++i) {
            all[i] = {two.one.bev, i};
            threads[i] = CreateThread(nullptr, 0, write_lines, &all[i], 0, nullptr);
        }
        size_t wanted = 0;
        for (int i = 0; i < lines_of_a_writer; ++i)
            wanted += static_cast<size_t>(writers * (51 + i));
        std::string got;
        REQUIRE(tls_peer_reads(base, &two.peer, &got, wanted));
        WaitForMultipleObjects(writers, threads, TRUE, INFINITE);
        for (HANDLE thread : threads)
            CloseHandle(thread);
        some_turns(base);
        REQUIRE(got.size() == wanted && lines_are_whole(got) && !two.one.wrong_thread);
        tls_close(&two);
    }
    return true;
}

// A bufferevent over a handshake that its program has made by itself.
bool open_shaken(struct event_base *base, tls_pair *into)
{
    record *one = &into->one;
    if (!connection_make(&one->on, 79) || !tls_peer_on(&into->peer, &one->on, true, TLS1_2_VERSION))
        return false;
    int near_end = static_cast<int>(one->on.near_end);
    SSL *ssl = tls_new(TLS1_2_VERSION);
    SSL_set_accept_state(ssl);
    SSL_set_fd(ssl, near_end);
    bool shaken = run_until(base, [&] {
        SSL_do_handshake(ssl);
        return tls_peer_shakes(&into->peer) && SSL_is_init_finished(ssl) != 0;
    });
    SSL_set_fd(ssl, near_end);
    one->bev = tls_bufferevent(base, near_end, ssl, tls_mode::socket, BUFFEREVENT_SSL_OPEN, BEV_OPT_CLOSE_ON_FREE);
    one->on.near_closed = true;
    if (one->bev == nullptr)
        return false;
    note_callbacks(one);
    bufferevent_enable(one->bev, EV_READ | EV_WRITE);
    return shaken && tls_talk(base, into);
}

// What came before it was taken is there when it comes back.
bool tls_descriptor_comes_back(struct event_base *base)
{
    tls_pair two = {};
    REQUIRE(open_shaken(base, &two));
    some_turns(base); // and it is about to receive
    two.one.data.clear();
    bufferevent_disable(two.one.bev, EV_READ);
    REQUIRE(tls_peer_sends(base, &two.peer, "before"));
    some_turns(base);
    REQUIRE(bufferevent_setfd(two.one.bev, -1) == 0);
    some_turns(base);
    REQUIRE(bufferevent_setfd(two.one.bev, static_cast<evutil_socket_t>(two.one.on.near_end)) == 0);
    bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
    REQUIRE(tls_peer_sends(base, &two.peer, " and after"));
    REQUIRE(run_until(base, [&] { return two.one.data == "before and after" || two.one.errors > 0; }));
    REQUIRE(two.one.errors == 0);
    tls_close(&two);
    return true;
}

} // namespace

const guarantee tls_data_guarantees[] = {
    {"row412_tls_echo_on_a_socket", row412_tls_echo_on_a_socket},
    {"row412_tls_echo_on_a_socket_as_client", row412_tls_echo_on_a_socket_as_client},
    {"row412_tls_echo_on_a_filter", row412_tls_echo_on_a_filter},
    {"row412_tls_echo_on_a_filter_as_client", row412_tls_echo_on_a_filter_as_client},
    {"tls_echo_with_deferred_callbacks", tls_echo_with_deferred_callbacks},
    {"tls_callbacks_are_deferred", tls_callbacks_are_deferred},
    {"tls_both_ends_are_bufferevents", tls_both_ends_are_bufferevents},
    {"tls_renegotiates", tls_renegotiates},
    {"tls_peer_renegotiates", tls_peer_renegotiates},
    {"tls_quiet_when_disabled", tls_quiet_when_disabled},
    {"tls_writes_from_threads", tls_writes_from_threads},
    {"tls_descriptor_comes_back", tls_descriptor_comes_back},
    {nullptr, nullptr},
};

} // namespace parity
