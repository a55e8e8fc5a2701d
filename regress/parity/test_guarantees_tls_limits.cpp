// OpenSSL bufferevents: timeouts and rate limits.
#include "tls.h"

namespace parity {

namespace {

// As libevent has it, a timeout turns reading off on a filter, but comes again and again on a socket.
bool tls_read_timeout(struct event_base *base)
{
    for (tls_mode mode : tls_modes) {
        tls_pair two;
        struct timeval limit = {0, 30 * 1000};
        REQUIRE(tls_connect(base, &two, mode, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_set_timeouts(two.one.bev, &limit, nullptr);
        REQUIRE(run_until(base, [&] { return two.one.timeouts > 0; }));
        bool still_on = (bufferevent_get_enabled(two.one.bev) & EV_READ) != 0;
        REQUIRE(still_on == (mode == tls_mode::socket));
        if (still_on)
            REQUIRE(run_until(base, [&] { return two.one.timeouts > 2; }));
        REQUIRE(tls_peer_sends(base, &two.peer, "after"));
        some_turns(base);
        REQUIRE(still_on || (two.one.data.empty() && two.one.timeouts == 1));
        bufferevent_enable(two.one.bev, EV_READ);
        REQUIRE(run_until(base, [&] { return two.one.data == "after"; }));
        REQUIRE(two.one.errors + two.one.ended == 0);
        tls_close(&two);
    }
    return true;
}

bool tls_write_timeout(struct event_base *base)
{
    tls_pair two;
    struct timeval limit = {0, 30 * 1000}, long_limit = {60, 0};
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
    std::string large = pattern(6, 0, 16 * 1024 * 1024), got;
    bufferevent_set_timeouts(two.one.bev, nullptr, &limit);
    bufferevent_write(two.one.bev, large.data(), large.size());
    REQUIRE(run_until(base, [&] { return two.one.timeouts > 2; }));
    REQUIRE((bufferevent_get_enabled(two.one.bev) & EV_WRITE) != 0);
    // It goes on where it stopped: nothing twice, nothing lost.
    bufferevent_set_timeouts(two.one.bev, nullptr, &long_limit);
    int timeouts = two.one.timeouts;
    REQUIRE(tls_peer_reads(base, &two.peer, &got, large.size()));
    REQUIRE(got == large && two.one.timeouts == timeouts);
    tls_close(&two);
    return true;
}

// Charged are the bytes on the wire: more than the plain ones, but only by headers and checksums.
bool charged_about(ev_ssize_t before, ev_ssize_t after, size_t plain)
{
    auto charged = static_cast<size_t>(before - after);
    if (before >= after && charged > plain && charged < plain + plain / 50 + 200)
        return true;
    printf("charged %ld for %lu\n", static_cast<long>(before - after), static_cast<unsigned long>(plain));
    return false;
}

bool tls_rate_limit_is_charged_for_bytes_moved(struct event_base *base)
{
    constexpr size_t most = 1 << 24;
    constexpr size_t moved = 300000;
    struct timeval long_tick = {1000, 0};
    struct ev_token_bucket_cfg *limits = ev_token_bucket_cfg_new(most, most, most, most, &long_tick);
    tls_pair two;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(tls_talk(base, &two)); // session tickets have come by now
    REQUIRE(bufferevent_set_rate_limit(two.one.bev, limits) == 0);
    ev_ssize_t reading = bufferevent_get_read_limit(two.one.bev);
    ev_ssize_t writing = bufferevent_get_write_limit(two.one.bev);
    std::string large = pattern(6, 0, moved), got;
    bufferevent_write(two.one.bev, large.data(), large.size());
    REQUIRE(tls_peer_reads(base, &two.peer, &got, large.size()) && got == large);
    REQUIRE(run_until(base, [&] { return evbuffer_get_length(bufferevent_get_output(two.one.bev)) == 0; }));
    REQUIRE(charged_about(writing, bufferevent_get_write_limit(two.one.bev), moved));
    REQUIRE(bufferevent_get_read_limit(two.one.bev) == reading);
    two.one.data.clear();
    writing = bufferevent_get_write_limit(two.one.bev);
    REQUIRE(tls_peer_sends(base, &two.peer, large));
    REQUIRE(run_until(base, [&] { return two.one.data.size() == moved; }));
    REQUIRE(charged_about(reading, bufferevent_get_read_limit(two.one.bev), moved));
    REQUIRE(bufferevent_get_write_limit(two.one.bev) == writing);
    tls_close(&two);
    ev_token_bucket_cfg_free(limits);
    return true;
}

// A spent bucket stops both ways, and its tick starts them again.
bool tls_rate_limit_holds_back_and_goes_on(struct event_base *base)
{
    struct timeval tick = {0, 20 * 1000};
    struct ev_token_bucket_cfg *limits = ev_token_bucket_cfg_new(20000, 20000, 20000, 20000, &tick);
    tls_pair two;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(bufferevent_set_rate_limit(two.one.bev, limits) == 0);
    std::string large = pattern(6, 0, 200000), got;
    bufferevent_write(two.one.bev, large.data(), large.size());
    size_t sent = 0;
    REQUIRE(run_until(base, [&] {
        tls_peer_writes(&two.peer, large, &sent);
        tls_peer_receives(&two.peer, &got);
        return got.size() == large.size() && two.one.data.size() == large.size();
    }));
    REQUIRE(got == large && two.one.data == large && two.one.errors == 0);
    tls_close(&two);
    ev_token_bucket_cfg_free(limits);
    return true;
}

bool is_open(SOCKET socket)
{
    int type, length = sizeof(type);
    return getsockopt(socket, SOL_SOCKET, SO_TYPE, reinterpret_cast<char *>(&type), &length) == 0;
}

// What evhttp does after its timeout.
bool give_up_on_silent_peers(struct event_base *base)
{
    static tls_pair pairs[8];
    struct timeval limit = {0, 30 * 1000};
    std::string large = pattern(6, 0, 8000000);
    for (tls_pair &each : pairs) {
        REQUIRE(tls_connect(base, &each, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
        peer_stall(each.peer.on);
        bufferevent_set_timeouts(each.one.bev, nullptr, &limit);
        bufferevent_write(each.one.bev, large.data(), large.size());
    }
    for (tls_pair &each : pairs)
        REQUIRE(run_until(base, [&] { return each.one.timeouts > 0; }));
    for (tls_pair &each : pairs) {
        bufferevent_free(each.one.bev);
        each.one.bev = nullptr;
    }
    for (tls_pair &each : pairs) {
        REQUIRE(run_until(base, [&] { return !is_open(each.one.on.near_end); }));
        each.one.on.near_end = INVALID_SOCKET;
        tls_close(&each);
    }
    return true;
}

// Nothing is kept for those who asked for much and read nothing, however long they stay.
bool tls_silent_peers_are_let_go(struct event_base *base)
{
    REQUIRE(limit_lingering(base));
    long blocks = 0;
    for (int round = 0; round < 3; ++round) {
        REQUIRE(give_up_on_silent_peers(base));
        some_turns(base); // the last packets of what was closed
        if (round == 1)   // what serves the next ones as well is there by then
            blocks = live_blocks();
    }
    REQUIRE(live_blocks() <= blocks);
    return true;
}

} // namespace

const guarantee tls_limit_guarantees[] = {
    {"tls_read_timeout", tls_read_timeout},
    {"tls_write_timeout", tls_write_timeout},
    {"tls_rate_limit_is_charged_for_bytes_moved", tls_rate_limit_is_charged_for_bytes_moved},
    {"tls_rate_limit_holds_back_and_goes_on", tls_rate_limit_holds_back_and_goes_on},
    {"tls_silent_peers_are_let_go", tls_silent_peers_are_let_go},
    {nullptr, nullptr},
};

} // namespace parity
