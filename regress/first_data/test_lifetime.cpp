// Whatever the order in which things end, with silent peers and unread first data about: no handle and no block is
// left.
#include "world.h"

#include "../real/accounting.h"
#include "support/guard.h"

using namespace world;

namespace {

constexpr int rounds = 20;
constexpr size_t left_behind = 5;         // blocks a round, see base_freed_under_the_listener
constexpr unsigned long handle_noise = 4; // Windows' own, that come and go

void silent_peers_and_unread_data(std::vector<evutil_socket_t> *peers)
{
    unsigned long before = accounting::open_handles();
    next_way = way::keeps_descriptor;
    set(4096, 60000);
    for (int i = 0; i < 10; ++i) {
        peers->push_back(connect_peer());
        if (i % 2 == 0)
            say(peers->back(), "unread");
    }
    assert_true(run_until([] { return all_served.size() == 5; }));
    assert_true(run_for(5));
    assert_true(accounting::open_handles() >= before + peers->size()); // they are counted here
}

// `end` ends the listener and the base, in its own way.
void leaves_nothing(void (*end)(), bool closes_first)
{
    size_t blocks = 0;
    unsigned long count = 0;
    tear_down(nullptr);
    for (int round = 0; round < rounds; ++round) {
        if (round == 2) { // what is made once is there
            blocks = iocp::guard::live_blocks();
            count = accounting::open_handles();
        }
        std::vector<evutil_socket_t> peers;
        set_up(nullptr);
        silent_peers_and_unread_data(&peers);
        if (closes_first)
            forget_served();
        end();
        if (!closes_first) {
            for (served *each : all_served)
                closesocket(static_cast<SOCKET>(each->fd)), each->fd = -1;
            forget_served();
        }
        listener = nullptr;
        base = nullptr;
        for (evutil_socket_t each : peers)
            evutil_closesocket(each);
        assert_int_equal(tear_down(nullptr), 0);
    }
    print_message("blocks %u, was %u; handles %lu, was %lu\n", static_cast<unsigned>(iocp::guard::live_blocks()),
                  static_cast<unsigned>(blocks), accounting::open_handles(), count);
    assert_int_equal(iocp::guard::live_blocks(), blocks);
    assert_true(accounting::open_handles() <= count + handle_noise);
}

void listener_then_base(void **)
{
    auto end = [] {
        evconnlistener_free(listener);
        event_base_free(base);
    };
    leaves_nothing(end, true);
    leaves_nothing(end, false);
}

// libevent wants a listener freed before its base: this one never is, and stays behind with what hangs on it (its
// record, its part in the round, its acceptor, and that one's part for first data).
void base_freed_under_the_listener(void **)
{
    tear_down(nullptr);
    size_t blocks = 0;
    unsigned long count = 0;
    for (int round = 0; round < rounds; ++round) {
        if (round == 2) {
            blocks = iocp::guard::live_blocks();
            count = accounting::open_handles();
        }
        set_up(nullptr);
        std::vector<evutil_socket_t> peers;
        silent_peers_and_unread_data(&peers);
        evutil_socket_t fd = evconnlistener_get_fd(listener);
        event_base_free(base);
        closesocket(static_cast<SOCKET>(fd));
        listener = nullptr;
        base = nullptr;
        forget_served();
        for (evutil_socket_t each : peers)
            evutil_closesocket(each);
        assert_int_equal(tear_down(nullptr), 0);
    }
    assert_int_equal(iocp::guard::live_blocks(), blocks + left_behind * (rounds - 2));
    assert_true(accounting::open_handles() <= count + handle_noise);
}

void disabled_first(void **)
{
    leaves_nothing(
        [] {
            evconnlistener_disable(listener);
            event_base_loop(base, EVLOOP_NONBLOCK);
            evconnlistener_free(listener);
            event_base_free(base);
        },
        true);
}

void turned_off_first(void **)
{
    leaves_nothing(
        [] {
            set(0, 0);
            evconnlistener_free(listener);
            event_base_loop(base, EVLOOP_NONBLOCK);
            event_base_free(base);
        },
        true);
}

// Dropping has begun, its packets have not come.
void while_dropping(void **)
{
    leaves_nothing(
        [] {
            set(4096, 100);
            assert_true(run_for(110));
            evconnlistener_free(listener);
            event_base_free(base);
        },
        true);
}

void listener_freed_alone(void **)
{
    std::vector<evutil_socket_t> peers;
    silent_peers_and_unread_data(&peers);
    evconnlistener_free(listener);
    listener = nullptr;
    forget_served();
    assert_true(run_until([&peers] {
        size_t closed = 0;
        for (evutil_socket_t each : peers)
            closed += was_closed(each);
        struct timeval soon = {0, 2000};
        event_base_loopexit(base, &soon);
        return closed == peers.size();
    }));
    for (evutil_socket_t each : peers)
        evutil_closesocket(each);
}

void closed_in_the_callback(void **)
{
    next_way = way::closes;
    set(4096, 60000);
    event_base_loop(base, EVLOOP_NONBLOCK);
    size_t blocks = iocp::guard::live_bytes();
    std::vector<evutil_socket_t> peers;
    for (int i = 0; i < 20; ++i) {
        peers.push_back(connect_peer());
        say(peers.back(), std::string(4096, 'x'));
        size_t expected = peers.size();
        assert_true(run_until([expected] { return all_served.size() == expected; }));
    }
    // The depth may have grown by a few accepts; twenty times the data would be more.
    assert_true(iocp::guard::live_bytes() < blocks + 10 * 4096);
    for (evutil_socket_t each : peers)
        evutil_closesocket(each);
}

DWORD WINAPI free_listener(void *)
{
    evconnlistener_free(listener);
    return 0;
}

// The timer may be in its callback just then.
void freed_by_another_thread(void **)
{
    for (int round = 0; round < 20; ++round) {
        set(4096, 100);
        std::vector<evutil_socket_t> peers = {connect_peer(), connect_peer()};
        assert_true(run_for(20 + round));
        HANDLE thread = CreateThread(nullptr, 0, free_listener, nullptr, 0, nullptr);
        assert_true(run_for(30));
        assert_int_equal(WaitForSingleObject(thread, deadline_seconds * 1000), WAIT_OBJECT_0);
        CloseHandle(thread);
        listener = listen_on(base);
        for (evutil_socket_t each : peers)
            evutil_closesocket(each);
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(listener_then_base, set_up, tear_down),
        cmocka_unit_test_setup_teardown(base_freed_under_the_listener, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disabled_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turned_off_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(while_dropping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(listener_freed_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_in_the_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freed_by_another_thread, set_up, tear_down),
    };
    start();
    int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
    libevent_global_shutdown();
    if (iocp::guard::live_blocks() == left_behind * rounds)
        return failed;
    print_error("%u blocks are left\n", static_cast<unsigned>(iocp::guard::live_blocks()));
    return 1;
}
