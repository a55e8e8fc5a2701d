// OpenSSL bufferevents whose peer is slow, or gone, and ones that are freed with output: what has left that is with the
// kernel, and what is to leave it does, as on select.
#include "tls.h"

#include <openssl/err.h>

namespace parity {

namespace {

constexpr size_t piece_sizes[] = {2000, 4000, 64000};
constexpr size_t written_at_once = 500;
constexpr int max_pieces = 10000;

// Pieces for as long as each leaves the output, though the peer reads nothing: how many did.
int write_pieces(struct event_base *base, tls_pair *two, size_t piece, int most)
{
    int pieces = 0;
    struct evbuffer *output = bufferevent_get_output(two->one.bev);
    for (; pieces < most && evbuffer_get_length(output) == 0; ++pieces) {
        std::string next = pattern(9, static_cast<size_t>(pieces) * piece, piece);
        for (size_t at = 0; at < piece; at += written_at_once)
            bufferevent_write(two->one.bev, next.data() + at, written_at_once);
        for (int i = 0; i < 20 && evbuffer_get_length(output) != 0; ++i)
            some_turns(base);
    }
    return evbuffer_get_length(output) == 0 ? pieces : pieces - 1;
}

// As many as the kernel has room for, at a time when nobody reads. -1: there is no end to it.
int room_for_pieces(struct event_base *base, size_t piece)
{
    tls_pair tried;
    if (!tls_connect(base, &tried, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE))
        return -1;
    peer_stall(tried.peer.on);
    int room = write_pieces(base, &tried, piece, max_pieces);
    tls_close(&tried);
    return room < max_pieces ? room : -1;
}

// A program that finds the output empty may shut the socket down by itself.
bool tls_drained_survives_a_shutdown(struct event_base *base)
{
    int rounds = 0;
    for (size_t piece : piece_sizes) {
        int room = room_for_pieces(base, piece);
        for (int fewer : {0, 1, 6}) {
            tls_pair two;
            REQUIRE(room >= 0 && tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
            peer_stall(two.peer.on);
            int written = write_pieces(base, &two, piece, room - fewer);
            if (evbuffer_get_length(bufferevent_get_output(two.one.bev)) ==
                0) { // the kernel had as much room as before
                std::string got, all = pattern(9, 0, static_cast<size_t>(written) * piece);
                shutdown(two.one.on.near_end, SD_SEND);
                REQUIRE(tls_peer_reads_to_the_end(base, &two.peer, &got));
                REQUIRE(got == all);
                ++rounds;
            }
            tls_close(&two);
        }
    }
    REQUIRE(rounds > 3);
    return true;
}

struct tls_farewell {
    int said; // what SSL_shutdown was asked for, or 0
    bool frees;
};

void say_goodbye(struct bufferevent *bev, tls_farewell *how)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
    how->said = SSL_shutdown(ssl);
    bufferevent_free(bev);
}

// The usual way to end politely, once the output is empty: whatever waits for the peer then, close_notify comes after it.
// (Sizes around what the queue of such a bufferevent holds.)
bool tls_goodbye_reaches_a_slow_peer(struct event_base *base)
{
    for (size_t size : {size_t{60000}, size_t{65536}, size_t{70000}, size_t{131072}, size_t{200000}}) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
        peer_stall(two.peer.on);
        tls_farewell how = {};
        bufferevent_setcb(
            two.one.bev, nullptr,
            [](struct bufferevent *bev, void *argument) {
                if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
                    say_goodbye(bev, static_cast<tls_farewell *>(argument));
            },
            nullptr, &how);
        std::string all = pattern(9, 0, size), got;
        bufferevent_write(two.one.bev, all.data(), all.size());
        REQUIRE(run_until(base, [&] {
            if (how.said == 0)
                tls_peer_receives(&two.peer, &got);
            return how.said != 0;
        }));
        two.one.bev = nullptr;
        REQUIRE(tls_peer_reads_to_the_end(base, &two.peer, &got));
        REQUIRE(how.said == 1 && got == all && two.peer.ended && !two.peer.broken);
        tls_close(&two);
    }
    return true;
}

// Its program keeps a reference.
bool tls_free_leaves_who_is_referenced(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        std::string large = pattern(8, 0, 1024 * 1024), got;
        struct bufferevent *bev = two.one.bev;
        peer_stall(two.peer.on);
        bufferevent_incref(bev);
        bufferevent_write(bev, large.data(), large.size());
        bufferevent_free(bev);
        two.one.bev = nullptr;
        REQUIRE(tls_peer_reads(base, &two.peer, &got, large.size()));
        REQUIRE(got == large && bufferevent_decref(bev) == 1);
        REQUIRE(
            run_until(base, [&] { return !tls_peer_receives(&two.peer, &got) && two.peer.broken; })); // no close_notify
        tls_close(&two);
    }
    return true;
}

// Its program keeps the SSL, and asks that before the socket is closed: there are no bytes but those that come next.
bool tls_freed_leaves_no_gap(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
    SSL *ssl = bufferevent_openssl_get_ssl(two.one.bev);
    SSL_up_ref(ssl);
    bufferevent_setcb(two.one.bev, nullptr, nullptr, nullptr, nullptr);
    bufferevent_setwatermark(two.one.bev, EV_READ, 0, 100);
    std::string all = pattern(7, 0, 40 * 700), got;
    for (size_t at = 0, sent = 0; at < all.size(); at += 700, sent = 0)
        REQUIRE(tls_peer_writes(&two.peer, all.substr(at, 700), &sent));
    some_turns(base);
    struct evbuffer *input = bufferevent_get_input(two.one.bev);
    got.resize(evbuffer_get_length(input));
    evbuffer_copyout(input, &got[0], got.size());
    bufferevent_free(two.one.bev);
    two.one.bev = nullptr;
    ERR_clear_error();
    char bytes[1000];
    int length = 0;
    while ((length = SSL_read(ssl, bytes, sizeof(bytes))) > 0)
        got.append(bytes, static_cast<size_t>(length));
    REQUIRE(SSL_get_error(ssl, length) == SSL_ERROR_WANT_READ);
    REQUIRE(got == all.substr(0, got.size()));
    SSL_free(ssl);
    tls_close(&two);
    return true;
}

// The write fails in its call, and who reads nothing hears of it by nothing else.
bool tls_write_after_a_reset_is_told(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        REQUIRE(tls_talk(base, &two));
        bufferevent_disable(two.one.bev, EV_READ);
        some_turns(base);
        peer_reset(&two.one.on);
        some_turns(base);
        int writes = two.one.writes;
        bufferevent_write(two.one.bev, "hello", 5);
        REQUIRE(run_until(base, [&] { return two.one.errors > 0; }));
        some_turns(base);
        REQUIRE(two.one.errors == 1 && two.one.ended == 0);
        if (mode == tls_mode::socket)
            REQUIRE(two.one.writes == writes && evbuffer_get_length(bufferevent_get_output(two.one.bev)) == 5);
        tls_close(&two);
    }
    return true;
}

// By its program, without a word to the bufferevent: its own calls have to fail, and not to wait for ever. (On select the
// loop itself fails.)
bool tls_closed_under_is_told(struct event_base *base)
{
    for (bool sends : {false, true}) {
        tls_pair two;
        REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
        some_turns(base);
        std::string data = pattern(3, 0, sends ? 8 * 1024 * 1024 : 0);
        bufferevent_write(two.one.bev, data.data(), data.size());
        some_turns(base);
        evutil_closesocket(bufferevent_getfd(two.one.bev));
        two.one.on.near_end = INVALID_SOCKET;
        REQUIRE(run_until(base, [&] { return two.one.errors > 0; }));
        some_turns(base);
        REQUIRE(two.one.errors == 1 && two.one.ended == 0);
        tls_close(&two);
        some_turns(base); // it closes the number once more, which must not be the next one's
        ERR_clear_error();
    }
    return true;
}

} // namespace

const guarantee tls_slow_guarantees[] = {
    {"tls_drained_survives_a_shutdown", tls_drained_survives_a_shutdown},
    {"tls_goodbye_reaches_a_slow_peer", tls_goodbye_reaches_a_slow_peer},
    {"tls_free_leaves_who_is_referenced", tls_free_leaves_who_is_referenced},
    {"tls_freed_leaves_no_gap", tls_freed_leaves_no_gap},
    {"tls_closed_under_is_told", tls_closed_under_is_told},
    {"tls_write_after_a_reset_is_told", tls_write_after_a_reset_is_told},
    {nullptr, nullptr},
};

} // namespace parity
