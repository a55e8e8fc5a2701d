// OpenSSL bufferevents: how connections and handshakes end, by either side, and by bufferevent_free.
#include "tls.h"

#include <openssl/err.h>

#include <string.h>

namespace parity {

namespace {

constexpr int rounds = 10;

// Every byte, and then an end that is no reset.
bool tls_drained_means_delivered(struct event_base *base)
{
    std::string large = pattern(9, 0, 1024 * 1024);
    for (int round = 0; round < rounds; ++round) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_write(two.one.bev, large.data(), large.size());
        std::string got;
        REQUIRE(run_until(base, [&] {
            tls_peer_receives(&two.peer, &got);
            return evbuffer_get_length(bufferevent_get_output(two.one.bev)) == 0;
        }));
        bufferevent_free(two.one.bev);
        two.one.bev = nullptr;
        REQUIRE(tls_peer_reads(base, &two.peer, &got, large.size()));
        REQUIRE(got == large);
        std::string rest;
        REQUIRE(peer_reads_to_the_end(base, &two.one.on, &rest) && rest.empty() && !two.one.on.far_reset);
        tls_close(&two);
    }
    return true;
}

// The usual way to end politely: what SSL_shutdown writes must reach the peer although the bufferevent goes at once.
bool tls_shutdown_and_free_reach_the_peer(struct event_base *base)
{
    for (size_t size : {size_t{10}, size_t{200000}}) {
        std::string last = pattern(8, 0, size);
        for (int round = 0; round < rounds; ++round) {
            tls_pair two;
            REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
            std::string got;
            bufferevent_write(two.one.bev, last.data(), last.size());
            REQUIRE(run_until(base, [&] {
                tls_peer_receives(&two.peer, &got);
                return evbuffer_get_length(bufferevent_get_output(two.one.bev)) == 0;
            }));
            SSL *ssl = bufferevent_openssl_get_ssl(two.one.bev);
            SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
            REQUIRE(SSL_shutdown(ssl) == 1);
            bufferevent_free(two.one.bev);
            two.one.bev = nullptr;
            REQUIRE(tls_peer_reads_to_the_end(base, &two.peer, &got));
            REQUIRE(got == last && two.peer.ended && !two.peer.broken);
            tls_close(&two);
        }
    }
    return true;
}

// The peer says that it will send no more, and reads on.
bool tls_peer_half_closes(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        REQUIRE(tls_peer_sends(base, &two.peer, "last"));
        REQUIRE(SSL_shutdown(two.peer.ssl) == 0);
        REQUIRE(run_until(base, [&] { return two.one.ended > 0; }));
        REQUIRE(two.one.data == "last" && two.one.errors == 0);
        std::string large = pattern(7, 0, 300000), got;
        bufferevent_enable(two.one.bev, EV_WRITE);
        bufferevent_write(two.one.bev, large.data(), large.size());
        REQUIRE(tls_peer_reads(base, &two.peer, &got, large.size()));
        REQUIRE(got == large && two.one.ended == 1);
        tls_close(&two);
    }
    return true;
}

// And the other way round: SSL_shutdown by the program, whose bufferevent goes on reading.
bool tls_program_half_closes(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(tls_talk(base, &two));
    two.one.data.clear();
    REQUIRE(SSL_shutdown(bufferevent_openssl_get_ssl(two.one.bev)) == 0);
    std::string got;
    REQUIRE(tls_peer_reads_to_the_end(base, &two.peer, &got));
    REQUIRE(got.empty() && two.peer.ended && !two.peer.broken);
    std::string large = pattern(7, 0, 100000);
    REQUIRE(tls_peer_sends(base, &two.peer, large));
    REQUIRE(run_until(base, [&] { return two.one.data.size() == large.size(); }));
    REQUIRE(two.one.data == large && two.one.ended == 0);
    SSL_shutdown(two.peer.ssl);
    REQUIRE(run_until(base, [&] { return two.one.ended > 0; }));
    REQUIRE(two.one.ended == 1 && two.one.errors == 0);
    tls_close(&two);
    return true;
}

// An end of the stream without close_notify.
bool dirty_end(struct event_base *base, tls_mode mode, bool allowed, record *told)
{
    tls_pair two;
    REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_openssl_set_allow_dirty_shutdown(two.one.bev, allowed);
    REQUIRE((bufferevent_openssl_get_allow_dirty_shutdown(two.one.bev) != 0) == allowed);
    REQUIRE(tls_peer_sends(base, &two.peer, "last"));
    REQUIRE(run_until(base, [&] { return two.one.data == "last"; }));
    peer_finish(&two.one.on);
    REQUIRE(run_until(base, [&] { return two.one.ended + two.one.errors > 0; }));
    some_turns(base);
    told->ended = two.one.ended;
    told->errors = two.one.errors;
    told->error = static_cast<int>(bufferevent_get_openssl_error(two.one.bev));
    tls_close(&two);
    return true;
}

// OpenSSL 3 calls it an error of the protocol, which not every libevent takes for a dirty shutdown on a socket.
// On a filter it is the bufferevent below that sees the end.
bool tls_dirty_shutdown(struct event_base *base)
{
    for (bool allowed : {false, true}) {
        record told = {};
        REQUIRE(dirty_end(base, tls_mode::socket, allowed, &told));
        bool ends = allowed && LIBEVENT_HAS_DIRTY_ENDS;
        REQUIRE(told.ended == (ends ? 1 : 0) && told.errors == (ends ? 0 : 1));
        REQUIRE(ERR_GET_REASON(static_cast<unsigned long>(told.error)) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
        REQUIRE(dirty_end(base, tls_mode::filter, allowed, &told));
        REQUIRE(told.ended == (allowed ? 1 : 0) && told.errors == (allowed ? 0 : 1));
    }
    return true;
}

// A filter does not keep the code of the bufferevent below.
bool says_reset(const record *told)
{
    return told->error == WSAECONNRESET && bufferevent_get_openssl_error(told->bev) != 0;
}

bool tls_reset_amid_data(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        REQUIRE(tls_talk(base, &two));
        peer_reset(&two.one.on);
        REQUIRE(run_until(base, [&] { return two.one.errors + two.one.ended > 0; }));
        some_turns(base);
        REQUIRE(two.one.errors == 1 && two.one.ended == 0);
        REQUIRE(mode == tls_mode::filter || says_reset(&two.one));
        tls_close(&two);
    }
    return true;
}

// With output that the kernel does not take.
bool tls_reset_while_writing(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        std::string large(16 * 1024 * 1024, 'w');
        bufferevent_disable(two.one.bev, EV_READ);
        bufferevent_write(two.one.bev, large.data(), large.size());
        some_turns(base);
        peer_reset(&two.one.on);
        REQUIRE(run_until(base, [&] { return two.one.errors + two.one.ended > 0; }));
        some_turns(base);
        REQUIRE(two.one.errors == 1 && two.one.ended == 0);
        tls_close(&two);
    }
    return true;
}

bool tls_reset_in_handshake(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        for (auto state : {BUFFEREVENT_SSL_CONNECTING, BUFFEREVENT_SSL_ACCEPTING}) {
            tls_pair two;
            REQUIRE(tls_open(base, &two, mode, state, BEV_OPT_CLOSE_ON_FREE));
            bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
            some_turns(base);
            peer_reset(&two.one.on);
            REQUIRE(run_until(base, [&] { return two.one.errors + two.one.ended > 0; }));
            some_turns(base);
            REQUIRE(two.one.errors == 1 && two.one.connected == 0 && two.one.ended == 0);
            REQUIRE(mode == tls_mode::filter || says_reset(&two.one));
            tls_close(&two);
        }
    }
    return true;
}

// The peer answers with something else than TLS.
bool tls_nonsense_in_handshake(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_open(base, &two, mode, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
        peer_send(&two.one.on, 1000, 1);
        REQUIRE(run_until(base, [&] { return two.one.errors > 0; }));
        REQUIRE(two.one.connected == 0);
        auto reason = ERR_GET_REASON(bufferevent_get_openssl_error(two.one.bev));
        REQUIRE(mode == tls_mode::filter || reason == SSL_R_WRONG_VERSION_NUMBER); // a filter goes on trying
        tls_close(&two);
    }
    return true;
}

bool tls_silent_peer_times_out(struct event_base *base)
{
    tls_pair two;
    struct timeval limit = {0, 30 * 1000};
    REQUIRE(tls_open(base, &two, tls_mode::socket, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_set_timeouts(two.one.bev, &limit, nullptr);
    bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
    REQUIRE(run_until(base, [&] { return two.one.timeouts > 0; }));
    REQUIRE(two.one.connected == 0 && two.one.errors == 0);
    tls_close(&two);
    return true;
}

// After so many steps of the handshake, or of the data that follow, the bufferevent goes.
bool free_after(struct event_base *base, tls_mode mode, bufferevent_ssl_state state, int steps)
{
    tls_pair two;
    REQUIRE(tls_open(base, &two, mode, state, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
    bufferevent_write(two.one.bev, "never mind", 10);
    for (int i = 0; i < steps; ++i) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (i % 2 == 1)
            tls_peer_shakes(&two.peer);
    }
    bufferevent_free(two.one.bev);
    two.one.bev = nullptr;
    std::string rest;
    REQUIRE(run_until(base, [&] {
        rest.clear();
        peer_receive(&two.one.on, &rest);
        return two.one.on.far_ended;
    }));
    tls_close(&two);
    return true;
}

bool tls_free_in_handshake(struct event_base *base)
{
    long blocks = 0;
    for (int round = 0; round < 3; ++round) {
        for (tls_mode mode : tls_modes)
            for (auto state : {BUFFEREVENT_SSL_CONNECTING, BUFFEREVENT_SSL_ACCEPTING})
                for (int steps = 0; steps < 12; ++steps)
                    REQUIRE(free_after(base, mode, state, steps));
        some_turns(base);
        if (round == 1)
            blocks = live_blocks();
    }
    REQUIRE(live_blocks() <= blocks);
    return true;
}

bool tls_free_from_its_own_callback(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_setcb(
            two.one.bev,
            [](struct bufferevent *bev, void *argument) {
                bufferevent_free(bev);
                static_cast<record *>(argument)->bev = nullptr;
            },
            nullptr, nullptr, &two.one);
        bufferevent_write(two.one.bev, "x", 1);
        REQUIRE(tls_peer_sends(base, &two.peer, "hello"));
        REQUIRE(run_until(base, [&] { return two.one.bev == nullptr; }));
        some_turns(base);
        tls_close(&two);
    }
    return true;
}

// Without BEV_OPT_CLOSE_ON_FREE the socket and the SSL are the program's, which goes on with them.
bool tls_free_leaves_the_program_its_socket(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, 0));
    REQUIRE(tls_talk(base, &two));
    SSL *ssl = bufferevent_openssl_get_ssl(two.one.bev);
    bufferevent_free(two.one.bev);
    two.one.bev = nullptr;
    some_turns(base);
    REQUIRE(tls_peer_sends(base, &two.peer, "to the program"));
    char buffer[100];
    int length = 0;
    REQUIRE(run_until(base, [&] {
        length = SSL_read(ssl, buffer, sizeof(buffer));
        return length > 0;
    }));
    REQUIRE(std::string(buffer, static_cast<size_t>(length)) == "to the program");
    REQUIRE(SSL_write(ssl, "and back", 8) == 8);
    std::string got;
    REQUIRE(tls_peer_reads(base, &two.peer, &got, 8) && got == "and back");
    SSL_free(ssl);
    tls_close(&two);
    return true;
}

struct tls_leaver {
    struct event_base *base;
    bool breaks;
};

void leave_once_written(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<tls_leaver *>(argument);
    if (evbuffer_get_length(bufferevent_get_output(bev)) != 0)
        return;
    if (self->breaks)
        event_base_loopbreak(self->base);
    else
        event_base_loopexit(self->base, nullptr);
}

bool peer_has_without_the_loop(tls_end *peer, const std::string &expected)
{
    struct event_base *other = new_base();
    std::string got;
    REQUIRE(tls_peer_reads(other, peer, &got, expected.size()));
    REQUIRE(got == expected);
    event_base_free(other);
    return true;
}

// What has left the output is with the kernel when the loop is left, and so is what the program makes OpenSSL write
// while no loop runs.
bool tls_drained_needs_no_further_turn(struct event_base *base)
{
    for (bool breaks : {false, true}) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
        some_turns(base);
        tls_leaver of = {base, breaks};
        bufferevent_setcb(two.one.bev, nullptr, leave_once_written, nullptr, &of);
        bufferevent_write(two.one.bev, "farewell", 8);
        event_base_dispatch(base);
        REQUIRE(peer_has_without_the_loop(&two.peer, "farewell"));
        REQUIRE(SSL_write(bufferevent_openssl_get_ssl(two.one.bev), "one more", 8) == 8);
        REQUIRE(peer_has_without_the_loop(&two.peer, "one more"));
        tls_close(&two);
    }
    return true;
}

} // namespace

const guarantee tls_ending_guarantees[] = {
    {"tls_drained_needs_no_further_turn", tls_drained_needs_no_further_turn},
    {"tls_drained_means_delivered", tls_drained_means_delivered},
    {"tls_shutdown_and_free_reach_the_peer", tls_shutdown_and_free_reach_the_peer},
    {"tls_peer_half_closes", tls_peer_half_closes},
    {"tls_program_half_closes", tls_program_half_closes},
    {"tls_dirty_shutdown", tls_dirty_shutdown},
    {"tls_reset_amid_data", tls_reset_amid_data},
    {"tls_reset_while_writing", tls_reset_while_writing},
    {"tls_reset_in_handshake", tls_reset_in_handshake},
    {"tls_nonsense_in_handshake", tls_nonsense_in_handshake},
    {"tls_silent_peer_times_out", tls_silent_peer_times_out},
    {"tls_free_in_handshake", tls_free_in_handshake},
    {"tls_free_from_its_own_callback", tls_free_from_its_own_callback},
    {"tls_free_leaves_the_program_its_socket", tls_free_leaves_the_program_its_socket},
    {nullptr, nullptr},
};

} // namespace parity
