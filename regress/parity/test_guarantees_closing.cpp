// The program closes the descriptor under its bufferevent, or frees with sends in flight. Nothing of it is left, and
// freeing the base does not wait for a peer that does not read.
#include "guarantees.h"

namespace parity {

namespace {

constexpr size_t filling = 1024 * 1024;
constexpr ULONGLONG too_long_ms = 3000; // for a base without anything left to do

enum class closes { by_libevent, by_winsock, by_shutdown_first };
enum class then { sets_no_descriptor, frees, sets_another, frees_the_base_first };
enum class flying { a_send, a_receive, both };

void close_under(connection *on, closes how)
{
    if (how == closes::by_shutdown_first) // as evhttp does
        shutdown(on->near_end, SD_SEND);
    if (how == closes::by_winsock)
        closesocket(on->near_end);
    else
        evutil_closesocket(static_cast<evutil_socket_t>(on->near_end));
    on->near_end = INVALID_SOCKET;
}

// What of the output its peer gets at the least: all that has left it, but where a send in flight is ended, by the close
// itself (under Wine by a shutdown too) or by the end of its base.
size_t least_received(const record &one, closes how, then what, flying which)
{
    if (which == flying::a_receive)
        return 0;
    bool goes_on = how == closes::by_libevent && what != then::frees_the_base_first;
    return goes_on ? filling - evbuffer_get_length(bufferevent_get_output(one.bev)) : 1;
}

bool sees_the_end(struct event_base *base, connection *on, size_t at_least)
{
    std::string got;
    REQUIRE(peer_reads_to_the_end(base, on, &got));
    REQUIRE(got.size() >= at_least && got == pattern(9, 0, got.size()));
    return true;
}

bool go_on(struct event_base *base, record *one, closes how, then what, int options)
{
    record other;
    // Another number: under Wine a send of a socket that was closed past libevent goes on with the next one of its
    // number (windows-probe, close.send-number). Numbers that come back have tests of their own.
    SOCKET number = how == closes::by_winsock ? socket(AF_INET, SOCK_STREAM, 0) : INVALID_SOCKET;
    if (what == then::sets_another)
        REQUIRE(open_pair(base, &other, 0));
    if (number != INVALID_SOCKET)
        closesocket(number);
    if (what == then::sets_no_descriptor)
        bufferevent_setfd(one->bev, -1);
    if (what == then::sets_another) {
        std::string got;
        bufferevent_free(other.bev);
        other.bev = nullptr;
        bufferevent_setfd(one->bev, static_cast<evutil_socket_t>(other.on.near_end));
        bufferevent_enable(one->bev, EV_READ | EV_WRITE);
        struct evbuffer *output = bufferevent_get_output(one->bev);
        size_t sent = filling - evbuffer_get_length(output);
        REQUIRE(evbuffer_get_length(output) == 0 || peer_reads(base, &other.on, &got, filling - sent));
        REQUIRE(got.empty() || got == pattern(9, sent, filling - sent));
        other.on.near_closed = (options & BEV_OPT_CLOSE_ON_FREE) != 0;
    }
    if (what != then::frees_the_base_first) {
        bufferevent_free(one->bev);
        one->bev = nullptr;
    }
    if (what == then::sets_another)
        close_pair(&other);
    return true;
}

bool close_and_go_on(closes how, then what, flying which, int options)
{
    long blocks = live_blocks();
    struct event_base *base = new_base();
    record one;
    REQUIRE(open_pair(base, &one, options));
    bufferevent_enable(one.bev, which == flying::a_send ? EV_WRITE : EV_READ | EV_WRITE);
    if (which != flying::a_receive)
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
    some_turns(base);
    size_t least = least_received(one, how, what, which);
    close_under(&one.on, how);
    if (what == then::frees_the_base_first) {
        struct event_base *other = new_base();
        bufferevent_free(one.bev);
        one.bev = nullptr;
        ULONGLONG begun = GetTickCount64();
        event_base_free(base);
        REQUIRE(GetTickCount64() - begun < too_long_ms);
        REQUIRE(sees_the_end(other, &one.on, least));
        event_base_free(other);
    } else {
        REQUIRE(go_on(base, &one, how, what, options));
        REQUIRE(sees_the_end(base, &one.on, least));
        ULONGLONG begun = GetTickCount64();
        event_base_free(base);
        REQUIRE(GetTickCount64() - begun < too_long_ms);
    }
    closesocket(one.on.far_end);
    REQUIRE(live_blocks() == blocks);
    return true;
}

bool close_in_all_ways(flying which)
{
    for (closes how : {closes::by_libevent, closes::by_winsock, closes::by_shutdown_first}) {
        for (then what : {then::sets_no_descriptor, then::frees, then::sets_another, then::frees_the_base_first}) {
            // One that closes its descriptor itself would close it twice.
            bool owner_too = what == then::sets_no_descriptor || what == then::sets_another;
            for (int options : {0, static_cast<int>(BEV_OPT_CLOSE_ON_FREE)}) {
                if (options != 0 && !owner_too)
                    continue;
                if (!close_and_go_on(how, what, which, options)) {
                    printf("closed in way %d, then %d, options 0x%x\n", static_cast<int>(how), static_cast<int>(what),
                           static_cast<unsigned>(options));
                    return false;
                }
            }
        }
    }
    return true;
}

bool close_under_a_send(struct event_base *)
{
    return close_in_all_ways(flying::a_send);
}

bool close_under_a_receive(struct event_base *)
{
    return close_in_all_ways(flying::a_receive);
}

bool close_under_both(struct event_base *)
{
    return close_in_all_ways(flying::both);
}

// What had left the output when its bufferevent was freed is delivered, once the peer reads, whether it has shut down
// its own side or not; the rest is not sent.
bool close_by_free_delivers_what_left_the_output(struct event_base *base)
{
    for (int way = 0; way < 4; ++way) {
        bool finishes = way % 2 == 1, turns_between = way / 2 == 1;
        record one;
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ | EV_WRITE);
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
        size_t sent = filling - evbuffer_get_length(bufferevent_get_output(one.bev));
        bufferevent_free(one.bev);
        one.bev = nullptr;
        if (finishes)
            peer_finish(&one.on);
        if (turns_between)
            some_turns(base);
        std::string got;
        REQUIRE(peer_reads_to_the_end(base, &one.on, &got));
        REQUIRE(got == pattern(9, 0, sent) && !one.on.far_reset);
        close_pair(&one);
    }
    return true;
}

// With and without the descriptor, on a base that is freed at once, while nobody reads.
bool close_by_free_of_the_base(struct event_base *)
{
    for (int options : {0, static_cast<int>(BEV_OPT_CLOSE_ON_FREE)}) {
        long blocks = live_blocks();
        struct event_base *base = new_base();
        record one;
        REQUIRE(open_pair(base, &one, options));
        bufferevent_enable(one.bev, EV_READ | EV_WRITE);
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
        bufferevent_free(one.bev);
        one.bev = nullptr;
        ULONGLONG begun = GetTickCount64();
        event_base_free(base);
        REQUIRE(GetTickCount64() - begun < too_long_ms);
        close_pair(&one);
        REQUIRE(live_blocks() == blocks);
    }
    return true;
}

} // namespace

const guarantee closing_guarantees[] = {
    {"close_under_a_send", close_under_a_send},
    {"close_under_a_receive", close_under_a_receive},
    {"close_under_both", close_under_both},
    {"close_by_free_delivers_what_left_the_output", close_by_free_delivers_what_left_the_output},
    {"close_by_free_of_the_base", close_by_free_of_the_base},
    {nullptr, nullptr},
};

} // namespace parity
