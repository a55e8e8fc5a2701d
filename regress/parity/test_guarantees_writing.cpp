// R2, R6, R12, S19: what is written, and what of it is told.
#include "guarantees.h"

namespace parity {

namespace {

bool r12_first_write_callback_without_output(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_WRITE);
    REQUIRE(run_until(base, [&] { return one.writes > 0; }));
    some_turns(base);
    REQUIRE(one.writes == 1);
    close_pair(&one);
    return true;
}

bool r2_one_write_callback_for_a_write(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    std::string got;
    for (int i = 1; i <= 50; ++i) {
        bufferevent_write(one.bev, "hello", 5);
        REQUIRE(peer_reads(base, &one.on, &got, static_cast<size_t>(i) * 5));
        REQUIRE(run_until(base, [&] { return one.writes >= i; }));
        REQUIRE(one.writes == i);
    }
    some_turns(base);
    REQUIRE(one.writes == 50);
    close_pair(&one);
    return true;
}

// As evhttp does for 100-continue: the first write's end must not be taken for the second's.
bool r2_write_callback_belongs_to_its_own_write(struct event_base *base)
{
    record one;
    std::string got;
    for (int round = 0; round < 50; ++round) {
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_setcb(one.bev, nullptr, nullptr, nullptr, nullptr);
        bufferevent_write(one.bev, "continue", 8);
        got.clear();
        REQUIRE(peer_reads(base, &one.on, &got, 8));
        REQUIRE(run_until(base, [&] { return evbuffer_get_length(bufferevent_get_output(one.bev)) == 0; }));
        note_callbacks(&one);
        std::string large(100000, 'x');
        bufferevent_write(one.bev, large.data(), large.size());
        for (int i = 0; i < 10; ++i) {
            turn(base);
            REQUIRE(one.writes == 0 || evbuffer_get_length(bufferevent_get_output(one.bev)) == 0);
        }
        REQUIRE(peer_reads(base, &one.on, &got, 100008) && got == "continue" + large);
        close_pair(&one);
    }
    return true;
}

bool r6_drained_means_delivered(struct event_base *base)
{
    std::string large = pattern(9, 0, 1024 * 1024);
    for (int round = 0; round < 10; ++round) {
        record one;
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ); // a receive is in flight when it is freed
        bufferevent_write(one.bev, large.data(), large.size());
        std::string got;
        REQUIRE(run_until(base, [&] {
            peer_receive(&one.on, &got);
            return evbuffer_get_length(bufferevent_get_output(one.bev)) == 0;
        }));
        bufferevent_free(one.bev);
        one.bev = nullptr;
        REQUIRE(peer_reads_to_the_end(base, &one.on, &got));
        REQUIRE(got == large);
        REQUIRE(!one.on.far_reset);
        close_pair(&one);
    }
    return true;
}

bool r12_no_write_timeout_when_drained(struct event_base *base)
{
    record one;
    struct timeval limit = {0, 10 * 1000};
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_set_timeouts(one.bev, nullptr, &limit);
    bufferevent_write(one.bev, "x", 1);
    std::string got;
    REQUIRE(peer_reads(base, &one.on, &got, 1));
    some_turns(base);
    some_turns(base);
    REQUIRE(one.timeouts == 0);
    REQUIRE((bufferevent_get_enabled(one.bev) & EV_WRITE) != 0);
    close_pair(&one);
    return true;
}

bool r12_write_timeout_when_the_peer_does_not_read(struct event_base *base)
{
    record one;
    struct timeval limit = {0, 20 * 1000};
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    std::string large = pattern(8, 0, 16 * 1024 * 1024);
    bufferevent_set_timeouts(one.bev, nullptr, &limit);
    bufferevent_write(one.bev, large.data(), large.size());
    REQUIRE(run_until(base, [&] { return one.timeouts > 0; }));
    some_turns(base);
    REQUIRE(one.timeouts == 1 && (bufferevent_get_enabled(one.bev) & EV_WRITE) == 0);
    // It goes on where it stopped: nothing twice, nothing lost.
    struct timeval long_limit = {60, 0}; // with none at all libevent goes on using the last one
    bufferevent_set_timeouts(one.bev, nullptr, &long_limit);
    bufferevent_enable(one.bev, EV_WRITE);
    std::string got;
    REQUIRE(peer_reads(base, &one.on, &got, large.size()));
    REQUIRE(got == large);
    close_pair(&one);
    return true;
}

enum class emptied { not_at_all, partly, wholly };

// The output moves to another socket while the kernel is still busy with it, or has just ended: sent once, in order, on
// the two together.
bool move_output(struct event_base *base, emptied how)
{
    record one, other;
    REQUIRE(open_pair(base, &one, 0));
    REQUIRE(open_pair(base, &other, 0));
    bufferevent_setfd(other.bev, -1);
    std::string large = pattern(7, 0, 8 * 1024 * 1024);
    bufferevent_write(one.bev, large.data(), large.size());
    REQUIRE(run_until_full(base, one.bev));
    std::string first, second;
    while (how == emptied::partly && peer_receive(&one.on, &first))
        continue;
    if (how == emptied::wholly)
        empty_kernel(&one.on, &first);
    bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(other.on.near_end));
    REQUIRE(shutdown(one.on.near_end, SD_SEND) == 0);
    REQUIRE(peer_reads_to_the_end(base, &one.on, &first));
    REQUIRE(peer_reads(base, &other.on, &second, large.size() - first.size()));
    some_turns(base);
    peer_receive(&other.on, &second);
    REQUIRE(first.size() + second.size() == large.size());
    REQUIRE(first + second == large);
    bufferevent_setfd(one.bev, -1);
    close_pair(&one);
    close_pair(&other);
    return true;
}

bool s8_setfd_with_a_send_in_flight(struct event_base *base)
{
    for (emptied how : {emptied::not_at_all, emptied::partly, emptied::wholly})
        REQUIRE(move_output(base, how));
    return true;
}

bool s19_flush_is_as_on_a_socket(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_write(one.bev, "abc", 3);
    REQUIRE(bufferevent_flush(one.bev, EV_READ | EV_WRITE, BEV_NORMAL) == 0);
    REQUIRE(bufferevent_flush(one.bev, EV_WRITE, BEV_FLUSH) == 0);
    REQUIRE(bufferevent_flush(one.bev, EV_WRITE, BEV_FINISHED) == 0);
    std::string got;
    REQUIRE(peer_reads(base, &one.on, &got, 3) && got == "abc");
    some_turns(base);
    REQUIRE(!one.on.far_ended && one.ended == 0);
    close_pair(&one);
    return true;
}

// A client that has asked, and says that it will ask no more, has its answer whole.
bool r6_a_peer_that_finishes_amid_a_send(struct event_base *base)
{
    for (int round = 0; round < 20; ++round) {
        record one;
        std::string large = pattern(4, 0, 220000), got;
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ | EV_WRITE);
        peer_stall(&one.on);
        bufferevent_write(one.bev, large.data(), large.size());
        some_turns(base);
        peer_send(&one.on, 2410, 2);
        if (round % 2 == 0)
            REQUIRE(run_until(base, [&] { return one.data.size() == 2410; }));
        peer_finish(&one.on);
        REQUIRE(run_until(base, [&] { return one.ended == 1; }));
        bufferevent_enable(one.bev, EV_WRITE);
        REQUIRE(peer_reads(base, &one.on, &got, large.size()));
        REQUIRE(got == large && one.errors == 0);
        close_pair(&one);
    }
    return true;
}

// A share of nothing is no end of the connection: libevent's group of two that has a byte left, and no least share.
bool output_without_a_share_has_not_ended(struct event_base *base)
{
    struct timeval tick = {3600, 0};
    struct ev_token_bucket_cfg *limits = ev_token_bucket_cfg_new(1, 1, 1, 1, &tick);
    struct bufferevent_rate_limit_group *group = bufferevent_rate_limit_group_new(base, limits);
    bufferevent_rate_limit_group_set_min_share(group, 0);
    record one, other;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE) && open_pair(base, &other, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_add_to_rate_limit_group(one.bev, group);
    bufferevent_add_to_rate_limit_group(other.bev, group);
    bufferevent_write(one.bev, "hello", 5);
    some_turns(base);
    REQUIRE(one.ended == 0); // (an error or not: by the thread's last one, which nobody has set)
    for (record *each : {&one, &other}) {
        bufferevent_remove_from_rate_limit_group(each->bev);
        close_pair(each);
    }
    bufferevent_rate_limit_group_free(group);
    ev_token_bucket_cfg_free(limits);
    return true;
}

} // namespace

const guarantee writing_guarantees[] = {
    {"r2_one_write_callback_for_a_write", r2_one_write_callback_for_a_write},
    {"r2_write_callback_belongs_to_its_own_write", r2_write_callback_belongs_to_its_own_write},
    {"r6_drained_means_delivered", r6_drained_means_delivered},
    {"r6_a_peer_that_finishes_amid_a_send", r6_a_peer_that_finishes_amid_a_send},
    {"r12_first_write_callback_without_output", r12_first_write_callback_without_output},
    {"r12_no_write_timeout_when_drained", r12_no_write_timeout_when_drained},
    {"r12_write_timeout_when_the_peer_does_not_read", r12_write_timeout_when_the_peer_does_not_read},
    {"s8_setfd_with_a_send_in_flight", s8_setfd_with_a_send_in_flight},
    {"s19_flush_is_as_on_a_socket", s19_flush_is_as_on_a_socket},
    {"output_without_a_share_has_not_ended", output_without_a_share_has_not_ended},
    {nullptr, nullptr},
};

} // namespace parity
