// R1, R12, S8, S16: what is read, and when it is said.
#include "guarantees.h"

namespace parity {

namespace {

bool r1_quiet_when_disabled(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    some_turns(base); // a receive is in flight
    for (int i = 0; i < 100; ++i) {
        peer_send(&one.on, 20, 3);
        bufferevent_disable(one.bev, EV_READ);
        int before = one.reads;
        turn(base);
        turn(base);
        REQUIRE(one.reads == before);
        bufferevent_enable(one.bev, EV_READ);
        REQUIRE(run_until(base, [&] { return one.data.size() == one.on.sent; }));
    }
    REQUIRE(one.data == pattern(one.on.id, 0, 2000));
    close_pair(&one);
    return true;
}

void disable_in_callback(struct bufferevent *bev, void *argument)
{
    ++static_cast<record *>(argument)->reads;
    bufferevent_disable(bev, EV_READ);
}

bool r1_disable_in_callback_keeps_the_rest(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_setcb(one.bev, disable_in_callback, nullptr, nullptr, &one);
    bufferevent_enable(one.bev, EV_READ);
    peer_send(&one.on, 1000, 1);
    REQUIRE(run_until(base, [&] { return one.reads == 1; }));
    peer_send(&one.on, 50000, 7);
    some_turns(base);
    REQUIRE(one.reads == 1);
    REQUIRE(evbuffer_get_length(bufferevent_get_input(one.bev)) == 1000);
    note_callbacks(&one);
    bufferevent_enable(one.bev, EV_READ);
    REQUIRE(run_until(base, [&] { return one.data.size() == 51000; }));
    REQUIRE(one.data == pattern(one.on.id, 0, 51000));
    close_pair(&one);
    return true;
}

bool r12_end_is_told_once_after_the_data(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    peer_send(&one.on, 70000, 5);
    peer_finish(&one.on);
    bufferevent_enable(one.bev, EV_READ);
    bool early = false;
    REQUIRE(run_until(base, [&] {
        early = early || (one.ended > 0 && one.data.size() < 70000);
        return one.ended > 0;
    }));
    REQUIRE(!early);
    some_turns(base);
    REQUIRE(one.ended == 1 && one.errors == 0);
    REQUIRE(one.data == pattern(one.on.id, 0, 70000));
    REQUIRE(bufferevent_get_enabled(one.bev) == EV_WRITE);
    // The other direction goes on.
    std::string got;
    bufferevent_write(one.bev, "after", 5);
    REQUIRE(peer_reads(base, &one.on, &got, 5) && got == "after");
    close_pair(&one);
    return true;
}

bool r12_nothing_is_called_inside_enable(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    peer_send(&one.on, 10, 1);
    peer_reset(&one.on);
    one.inside_call = true;
    bufferevent_enable(one.bev, EV_READ | EV_WRITE);
    bufferevent_write(one.bev, "x", 1);
    one.inside_call = false;
    REQUIRE(run_until(base, [&] { return one.errors + one.ended > 0; }));
    REQUIRE(!one.called_inside && !one.wrong_thread);
    close_pair(&one);
    return true;
}

bool r12_callbacks_run_in_the_loop_thread(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ | EV_WRITE);
    for (int i = 0; i < 20; ++i) {
        peer_send(&one.on, 500, 2);
        bufferevent_write(one.bev, "answer", 6);
        REQUIRE(run_until(base, [&] { return one.data.size() == one.on.sent; }));
    }
    peer_finish(&one.on);
    REQUIRE(run_until(base, [&] { return one.ended == 1; }));
    REQUIRE(!one.wrong_thread);
    close_pair(&one);
    return true;
}

bool r12_watermarks_bound_what_is_read(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_setcb(one.bev, nullptr, nullptr, nullptr, nullptr);
    bufferevent_setwatermark(one.bev, EV_READ, 0, 1000);
    bufferevent_enable(one.bev, EV_READ);
    peer_send(&one.on, 20000, 1);
    struct evbuffer *input = bufferevent_get_input(one.bev);
    std::string data;
    while (data.size() < 20000) {
        size_t expected = 20000 - data.size() < 1000 ? 20000 - data.size() : 1000;
        REQUIRE(run_until(base, [&] { return evbuffer_get_length(input) >= expected; }));
        turn(base);
        REQUIRE(evbuffer_get_length(input) == expected);
        char taken[1000];
        data.append(taken, static_cast<size_t>(evbuffer_remove(input, taken, sizeof(taken))));
    }
    REQUIRE(data == pattern(one.on.id, 0, 20000));
    close_pair(&one);
    return true;
}

bool r12_watermark_holds_for_a_receive_in_flight(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    for (int i = 1; i <= 20; ++i) { // a busy connection: a receive with a buffer waits
        peer_send(&one.on, 1000, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == static_cast<size_t>(i) * 1000; }));
    }
    bufferevent_setcb(one.bev, nullptr, nullptr, nullptr, nullptr);
    bufferevent_setwatermark(one.bev, EV_READ, 0, 300);
    peer_send(&one.on, 1000, 1);
    struct evbuffer *input = bufferevent_get_input(one.bev);
    REQUIRE(run_until(base, [&] { return evbuffer_get_length(input) > 0; }));
    some_turns(base);
    REQUIRE(evbuffer_get_length(input) == 300);
    note_callbacks(&one);
    bufferevent_setwatermark(one.bev, EV_READ, 0, 0);
    peer_send(&one.on, 1, 1);
    REQUIRE(run_until(base, [&] { return one.data.size() == 21001; }));
    REQUIRE(one.data == pattern(one.on.id, 0, 21001));
    close_pair(&one);
    return true;
}

bool s8_setfd_with_data_on_both(struct event_base *base)
{
    record one, other;
    REQUIRE(open_pair(base, &one, 0));
    REQUIRE(open_pair(base, &other, 0));
    bufferevent_setfd(other.bev, -1);
    bufferevent_enable(one.bev, EV_READ);
    some_turns(base); // a receive is in flight
    peer_send(&one.on, 300, 1);
    peer_send(&other.on, 200, 1);
    bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(other.on.near_end));
    REQUIRE(run_until(base, [&] { return one.data.size() >= 200; }));
    some_turns(base);
    REQUIRE(one.data == pattern(other.on.id, 0, 200));
    // What came for the old descriptor is still there.
    REQUIRE(near_take_rest(&one.on) && one.on.read == 300);
    bufferevent_setfd(one.bev, -1);
    close_pair(&one);
    close_pair(&other);
    return true;
}

bool s16_reset_has_its_code(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    some_turns(base);
    peer_reset(&one.on);
    REQUIRE(run_until(base, [&] { return one.errors + one.ended > 0; }));
    some_turns(base);
    REQUIRE(one.errors == 1 && one.ended == 0);
    REQUIRE(one.error == WSAECONNRESET);
    close_pair(&one);
    return true;
}

#if LIBEVENT_HAS_MAX_READ
// What the program says of the input holds for each read.
bool input_says_how_much_a_read_adds(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(evbuffer_set_max_read(bufferevent_get_input(one.bev), 100) == 0);
    bufferevent_enable(one.bev, EV_READ);
    for (size_t had = 0; had < 3000; had += 1000) {
        peer_send(&one.on, 1000, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == had + 1000; }));
    }
    REQUIRE(one.reads >= 30);
    close_pair(&one);
    return true;
}
#endif

} // namespace

const guarantee reading_guarantees[] = {
    {"r1_quiet_when_disabled", r1_quiet_when_disabled},
    {"r1_disable_in_callback_keeps_the_rest", r1_disable_in_callback_keeps_the_rest},
    {"r12_end_is_told_once_after_the_data", r12_end_is_told_once_after_the_data},
    {"r12_nothing_is_called_inside_enable", r12_nothing_is_called_inside_enable},
    {"r12_callbacks_run_in_the_loop_thread", r12_callbacks_run_in_the_loop_thread},
    {"r12_watermarks_bound_what_is_read", r12_watermarks_bound_what_is_read},
    {"r12_watermark_holds_for_a_receive_in_flight", r12_watermark_holds_for_a_receive_in_flight},
    {"s8_setfd_with_data_on_both", s8_setfd_with_data_on_both},
    {"s16_reset_has_its_code", s16_reset_has_its_code},
#if LIBEVENT_HAS_MAX_READ
    {"input_says_how_much_a_read_adds", input_says_how_much_a_read_adds},
#endif
    {nullptr, nullptr},
};

} // namespace parity
