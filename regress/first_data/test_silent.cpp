// Peers who connect and say nothing neither starve a listener nor stay for ever.
#include "world.h"

using namespace world;

namespace {

constexpr size_t many = 200;

std::vector<evutil_socket_t> silent_peers(size_t count)
{
    std::vector<evutil_socket_t> made;
    for (size_t i = 0; i < count; ++i)
        made.push_back(connect_peer());
    return made;
}

void close_all(const std::vector<evutil_socket_t> &peers)
{
    for (evutil_socket_t each : peers)
        evutil_closesocket(each);
}

size_t count_closed(const std::vector<evutil_socket_t> &peers)
{
    size_t closed = 0;
    for (evutil_socket_t each : peers)
        closed += was_closed(each);
    return closed;
}

// The loop runs until that many are closed: nothing of ours in it says when.
void wait_for_closed(const std::vector<evutil_socket_t> &peers, size_t count)
{
    assert_true(run_until([&peers, count] {
        struct timeval soon = {0, 10000};
        event_base_loopexit(base, &soon);
        return count_closed(peers) >= count;
    }));
}

// Well before a silent one's patience ends, where that is a minute.
void talker_is_served()
{
    size_t before = all_served.size();
    evutil_socket_t peer = connect_peer();
    say(peer, "I talk");
    assert_true(run_until([before] { return all_served.size() > before && all_served.back()->got == "I talk"; }));
    evutil_closesocket(peer);
}

void two_hundred_and_one_who_talks(void **)
{
    set(256, 60000);
    std::vector<evutil_socket_t> peers = silent_peers(many);
    talker_is_served();
    assert_int_equal(count_closed(peers), 0);
    for (evutil_socket_t each : peers)
        say(each, "after all");
    assert_true(run_until([] { return all_served.size() == many + 1; }));
    assert_true(run_until([] {
        for (size_t i = 1; i < all_served.size(); ++i)
            if (all_served[i]->got != "after all")
                return false;
        return true;
    }));
    close_all(peers);
}

void silent_ones_that_come_while_the_loop_runs(void **)
{
    set(256, 60000);
    std::vector<evutil_socket_t> peers;
    for (size_t i = 0; i < many; ++i) {
        peers.push_back(connect_peer());
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (i % 50 == 49)
            talker_is_served();
    }
    assert_int_equal(count_closed(peers), 0);
    close_all(peers);
}

void more_than_may_be_silent(void **)
{
    constexpr size_t surplus = 44;
    set(256, 60000);
    std::vector<evutil_socket_t> first = silent_peers(EVCONNLISTENER_IOCP_MAX_ACCEPTS);
    talker_is_served();
    std::vector<evutil_socket_t> later = silent_peers(surplus);
    for (int i = 0; i < 5; ++i)
        talker_is_served();
    size_t closed = count_closed(first);
    print_message("%u of %u closed\n", static_cast<unsigned>(closed), static_cast<unsigned>(first.size()));
    assert_true(closed >= surplus && closed < surplus + 20);
    assert_int_equal(count_closed(later), 0);
    close_all(first);
    close_all(later);
}

void dropped_after_patience(void **)
{
    set(256, 400);
    double start = seconds_now();
    std::vector<evutil_socket_t> peers = silent_peers(5);
    wait_for_closed(peers, 1);
    double took = seconds_now() - start;
    print_message("dropped after %.0f ms\n", took * 1000);
    assert_true(took >= 0.4); // and no later than run_until waits
    wait_for_closed(peers, peers.size());
    assert_int_equal(all_served.size(), 0);
    talker_is_served();
    close_all(peers);
}

void patience_keeps_no_loop(void **)
{
    set(256, 60000);
    std::vector<evutil_socket_t> peers = silent_peers(3);
    assert_true(run_for(50));
    evconnlistener_disable(listener);
    assert_int_equal(event_base_dispatch(base), 1); // no events
    evconnlistener_enable(listener);
    talker_is_served();
    close_all(peers);
}

void dropped_while_disabled(void **)
{
    set(256, 200);
    std::vector<evutil_socket_t> peers = silent_peers(2);
    assert_true(run_for(20));
    evconnlistener_disable(listener);
    wait_for_closed(peers, peers.size());
    evconnlistener_enable(listener);
    talker_is_served();
    close_all(peers);
}

void several_listeners(void **)
{
    struct evconnlistener *others[3];
    std::vector<evutil_socket_t> peers;
    for (struct evconnlistener *&each : others) {
        each = listen_on(base);
        assert_int_equal(evconnlistener_iocp_set_first_data(each, 100, nullptr), 0);
    }
    for (int i = 0; i < 60; ++i)
        peers.push_back(connect_peer(others[i % 3]));
    for (struct evconnlistener *each : others) {
        size_t before = all_served.size();
        peers.push_back(connect_peer(each));
        say(peers.back(), "one");
        assert_true(run_until([before] { return all_served.size() > before && all_served.back()->got == "one"; }));
    }
    talker_is_served(); // at a listener without the option
    for (struct evconnlistener *each : others)
        evconnlistener_free(each);
    close_all(peers);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_hundred_and_one_who_talks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_ones_that_come_while_the_loop_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_may_be_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropped_after_patience, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patience_keeps_no_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropped_while_disabled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_listeners, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
