// R5, R6, R9, S5, S6, S7, S9, S12: frees in every state, and sockets that are not what they seem.
#include "guarantees.h"

namespace parity {

namespace {

constexpr size_t idle_count = 200;
constexpr size_t idle_bytes = 2048; // allowed to each

void ignore_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    evutil_closesocket(fd);
}

struct evconnlistener *open_listener(struct event_base *base)
{
    struct sockaddr_in address = open_address();
    address.sin_port = 0;
    return evconnlistener_new_bind(base, ignore_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, -1,
                                   reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
}

// A read, a large write, a connect and accepts in flight; freed in one of the orders, with turns of the loop between or
// not.
bool free_in_order(struct event_base *base, int order)
{
    static const std::string large(4 * 1024 * 1024, 'x');
    record reading, writing, connecting;
    REQUIRE(open_pair(base, &reading, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(open_pair(base, &writing, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(open_unconnected(base, &connecting, BEV_OPT_CLOSE_ON_FREE));
    struct evconnlistener *listener = open_listener(base);
    bufferevent_enable(reading.bev, EV_READ);
    bufferevent_write(writing.bev, large.data(), large.size());
    for (int i = 0; i < order % 4; ++i)
        turn(base);
    struct sockaddr_in address = open_address();
    bufferevent_socket_connect(connecting.bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    connecting.on.near_end = static_cast<SOCKET>(bufferevent_getfd(connecting.bev));
    REQUIRE(connection_accept(&connecting.on));
    for (int i = 0; i < 4; ++i) {
        int which = (i * (1 + 2 * (order & 1)) + order / 2) % 4;
        if (which == 0)
            close_pair(&reading);
        else if (which == 1)
            close_pair(&writing);
        else if (which == 2)
            close_pair(&connecting);
        else
            evconnlistener_free(listener);
        if ((order & 8) != 0)
            turn(base);
    }
    return true;
}

bool r5_free_in_any_order(struct event_base *)
{
    long blocks = live_blocks();
    for (int order = 0; order < 24; ++order) {
        struct event_base *base = new_base();
        REQUIRE(base != nullptr && free_in_order(base, order));
        event_base_free(base);
    }
    REQUIRE(live_blocks() <= blocks);
    return true;
}

bool s12_base_free_with_pending_reads(struct event_base *)
{
    long blocks = live_blocks();
    for (int round = 0; round < 5; ++round) {
        struct event_base *base = new_base();
        REQUIRE(base != nullptr);
        static record many[50];
        for (record &one : many) {
            REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
            bufferevent_enable(one.bev, EV_READ);
        }
        some_turns(base);
        for (record &one : many)
            close_pair(&one);
        event_base_free(base);
    }
    REQUIRE(live_blocks() <= blocks);
    return true;
}

bool s6_free_keeps_socket_bytes(struct event_base *base)
{
    for (int i = 0; i < 20; ++i) {
        record one;
        REQUIRE(open_pair(base, &one, 0));
        bufferevent_enable(one.bev, EV_READ);
        some_turns(base); // a receive is in flight
        bufferevent_free(one.bev);
        one.bev = nullptr;
        peer_send(&one.on, 100, 1);
        some_turns(base);
        REQUIRE(near_take_rest(&one.on) && one.on.read == 100);
        close_pair(&one);
    }
    return true;
}

// Bytes came between the last turn and the free: they belong to whoever has the descriptor next. The connection has
// been busy before, so that a receive with a buffer would be worth its while.
bool s6_free_without_close_steals_nothing(struct event_base *base)
{
    for (int i = 0; i < 20; ++i) {
        record one;
        REQUIRE(open_pair(base, &one, 0));
        bufferevent_enable(one.bev, EV_READ);
        for (size_t sent = 500; sent <= 2000; sent += 500) {
            peer_send(&one.on, 500, 1);
            REQUIRE(run_until(base, [&] { return one.data.size() == sent; }));
        }
        some_turns(base);
        one.on.read = one.data.size();
        peer_send(&one.on, 100, 1);
        bufferevent_free(one.bev);
        one.bev = nullptr;
        turn(base);
        REQUIRE(near_take_rest(&one.on) && one.on.read == 2100);
        close_pair(&one);
    }
    return true;
}

bool s7_free_with_a_pending_read_is_no_reset(struct event_base *base)
{
    for (int i = 0; i < 50; ++i) {
        record one;
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ);
        bufferevent_write(one.bev, "last", 4);
        std::string got;
        REQUIRE(run_until(base, [&] { return evbuffer_get_length(bufferevent_get_output(one.bev)) == 0; }));
        turn(base);
        bufferevent_free(one.bev);
        one.bev = nullptr;
        REQUIRE(peer_reads_to_the_end(base, &one.on, &got));
        REQUIRE(got == "last" && !one.on.far_reset);
        close_pair(&one);
    }
    return true;
}

// The descriptor of a bufferevent that owns it is handed to another one, with bytes that nobody has read.
bool r6_handover_between_bufferevents(struct event_base *base)
{
    record one, next;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    peer_send(&one.on, 100, 1);
    REQUIRE(run_until(base, [&] { return one.data.size() == 100; }));
    some_turns(base);
    peer_send(&one.on, 200, 2);
    evutil_socket_t fd = bufferevent_getfd(one.bev);
    bufferevent_setfd(one.bev, -1);
    bufferevent_free(one.bev);
    one.bev = nullptr;
    REQUIRE(open_unconnected(base, &next, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_setfd(next.bev, fd);
    bufferevent_enable(next.bev, EV_READ);
    REQUIRE(run_until(base, [&] { return next.data.size() == 200; }));
    REQUIRE(next.data == pattern(one.on.id, 100, 200));
    close_pair(&next);
    close_pair(&one);
    return true;
}

// The other one is made before the descriptor is taken from the first.
bool r6_handover_to_one_that_is_made_first(struct event_base *base)
{
    for (bool reads_on : {false, true}) {
        record one, next = {};
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ);
        peer_send(&one.on, 100, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == 100; }));
        some_turns(base);
        if (!reads_on)
            bufferevent_disable(one.bev, EV_READ);
        peer_send(&one.on, 200, 2);
        next.bev = bufferevent_socket_new(base, bufferevent_getfd(one.bev), BEV_OPT_CLOSE_ON_FREE);
        REQUIRE(next.bev != nullptr);
        note_callbacks(&next);
        bufferevent_enable(next.bev, EV_READ);
        if (!reads_on) // both have it for a while
            REQUIRE(run_until(base, [&] { return next.data.size() == 200; }));
        bufferevent_setfd(one.bev, -1);
        bufferevent_free(one.bev);
        one.bev = nullptr;
        REQUIRE(run_until(base, [&] { return next.data.size() == 200; }));
        REQUIRE(next.data == pattern(one.on.id, 100, 200));
        std::string got;
        bufferevent_write(next.bev, "back", 4);
        REQUIRE(peer_reads(base, &one.on, &got, 4) && got == "back");
        bufferevent_free(next.bev);
        next.bev = nullptr;
        close_pair(&one);
    }
    return true;
}

bool r9_a_closed_socket_hurts_only_itself(struct event_base *base)
{
    record bad, good;
    REQUIRE(open_pair(base, &bad, 0));
    REQUIRE(open_pair(base, &good, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(bad.bev, EV_READ);
    bufferevent_enable(good.bev, EV_READ);
    some_turns(base);
    closesocket(bad.on.near_end); // under the loop, without a word
    bad.on.near_end = INVALID_SOCKET;
    for (int i = 1; i <= 20; ++i) {
        peer_send(&good.on, 50, 1);
        REQUIRE(run_until(base, [&] { return good.data.size() == static_cast<size_t>(i) * 50; }));
        struct timeval millisecond = {0, 1000};
        event_base_loopexit(base, &millisecond);
        REQUIRE(event_base_loop(base, 0) >= 0);
    }
    close_pair(&bad);
    close_pair(&good);
    return true;
}

bool s5_a_socket_of_another_port_works_or_is_refused(struct event_base *base)
{
    connection on = {};
    REQUIRE(connection_make(&on, 77));
    HANDLE port = CreateIoCompletionPort(reinterpret_cast<HANDLE>(on.near_end), nullptr, 0, 1);
    REQUIRE(port != nullptr);
    record one = {};
    one.bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(on.near_end), 0);
    if (one.bev == nullptr)
        return true;
    note_callbacks(&one);
    bufferevent_enable(one.bev, EV_READ);
    peer_send(&on, 100, 2);
    REQUIRE(run_until(base, [&] { return one.data.size() == 100; }));
    std::string got;
    bufferevent_write(one.bev, "back", 4);
    REQUIRE(peer_reads(base, &on, &got, 4) && got == "back");
    bufferevent_free(one.bev);
    closesocket(on.near_end);
    closesocket(on.far_end);
    CloseHandle(port);
    return true;
}

bool s9_an_idle_connection_is_small(struct event_base *base)
{
    static record many[idle_count];
    turn(base);
    size_t before = live_bytes();
    for (record &one : many) {
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ);
    }
    some_turns(base);
    size_t each = (live_bytes() - before) / idle_count;
    printf("%u bytes each\n", static_cast<unsigned>(each));
    REQUIRE(each <= idle_bytes);
    for (record &one : many)
        close_pair(&one);
    return true;
}

// Freed in its own callback, and by its program that keeps a reference: its output goes to the last byte, and its socket is
// closed when that reference goes.
bool free_leaves_who_is_referenced(struct event_base *base)
{
    std::string large = pattern(5, 0, 1024 * 1024), got;
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    struct bufferevent *bev = one.bev;
    struct evbuffer *output = evbuffer_new();
    bufferevent_incref(bev);
    bufferevent_enable(bev, EV_READ);
    bufferevent_setcb(
        bev,
        [](struct bufferevent *told, void *argument) {
            bufferevent_write_buffer(told, static_cast<struct evbuffer *>(argument));
            bufferevent_free(told);
        },
        nullptr, nullptr, output);
    evbuffer_add(output, large.data(), large.size());
    peer_send(&one.on, 1, 1);
    one.bev = nullptr;
    REQUIRE(peer_reads(base, &one.on, &got, large.size()) && got == large);
    REQUIRE(run_until(base, [&] { return evbuffer_get_length(bufferevent_get_output(bev)) == 0; }));
    evbuffer_drain(bufferevent_get_input(bev), 1);
    peer_send(&one.on, 10, 1);
    REQUIRE(run_until(base, [&] { return evbuffer_get_length(bufferevent_get_input(bev)) == 10; }));
    REQUIRE(bufferevent_decref(bev) == 1);
    REQUIRE(peer_reads_to_the_end(base, &one.on, &got) && got == large);
    evbuffer_free(output);
    close_pair(&one);
    return true;
}

bufferevent_filter_result pass_on(struct evbuffer *from, struct evbuffer *to, ev_ssize_t, enum bufferevent_flush_mode,
                                  void *)
{
    return evbuffer_add_buffer(to, from) == 0 ? BEV_OK : BEV_ERROR;
}

// Its program gives the bufferevent below a filter up, and uses the filter.
bool free_below_a_filter_that_goes_on(struct event_base *base)
{
    std::string large = pattern(6, 0, 300000), got;
    record one, above = {};
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    above.bev = bufferevent_filter_new(one.bev, pass_on, pass_on, 0, nullptr, nullptr);
    REQUIRE(above.bev != nullptr);
    bufferevent_enable(above.bev, EV_READ | EV_WRITE);
    bufferevent_write(above.bev, large.data(), large.size());
    bufferevent_free(one.bev);
    one.bev = nullptr;
    REQUIRE(peer_reads(base, &one.on, &got, large.size()) && got == large);
    bufferevent_free(above.bev);
    REQUIRE(peer_reads_to_the_end(base, &one.on, &got) && got == large);
    close_pair(&one);
    return true;
}

} // namespace

const guarantee freeing_guarantees[] = {
    {"r5_free_in_any_order", r5_free_in_any_order},
    {"s12_base_free_with_pending_reads", s12_base_free_with_pending_reads},
    {"s6_free_keeps_socket_bytes", s6_free_keeps_socket_bytes},
    {"s6_free_without_close_steals_nothing", s6_free_without_close_steals_nothing},
    {"s7_free_with_a_pending_read_is_no_reset", s7_free_with_a_pending_read_is_no_reset},
    {"r6_handover_between_bufferevents", r6_handover_between_bufferevents},
    {"r6_handover_to_one_that_is_made_first", r6_handover_to_one_that_is_made_first},
    {"r9_a_closed_socket_hurts_only_itself", r9_a_closed_socket_hurts_only_itself},
    {"s5_a_socket_of_another_port_works_or_is_refused", s5_a_socket_of_another_port_works_or_is_refused},
    {"s9_an_idle_connection_is_small", s9_an_idle_connection_is_small},
    {"free_leaves_who_is_referenced", free_leaves_who_is_referenced},
    {"free_below_a_filter_that_goes_on", free_below_a_filter_that_goes_on},
    {nullptr, nullptr},
};

} // namespace parity
