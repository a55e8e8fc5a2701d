// How a run of a base inside another loop ends, and what is refused; on the fake kernel.
#include "support/outer_loop.h"

using namespace iocp;
using namespace iocp::outer;

namespace {

// --- ends -----------------------------------------------------------------------------------------------------------

void exits_and_breaks_are_told(void **)
{
    counted *distant = add_event(0, int64_t{3600} * 1000000);
    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [] { event_base_loopbreak(base); });
    outer::sleep();
    assert_int_equal(wakes, 1);
    assert_int_equal(run(), 0);
    assert_true(event_base_got_break(base));
    assert_int_equal(wait_ms, not_set);

    assert_int_equal(run_until_asleep(), 1);
    assert_false(event_base_got_break(base));
    event_base_loopbreak(base); // by the outer loop
    assert_int_equal(run(), 0);
    assert_true(event_base_got_break(base));

    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [] { event_base_loopexit(base, nullptr); });
    for (int sleeps = 0; run() == 1; ++sleeps) { // the first break's packet may still be there
        assert_true(sleeps < 3);
        outer::sleep();
    }
    assert_int_equal(time_outs, 0);
    assert_true(event_base_got_exit(base));
    assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 0); // it may run now
    free_counted(distant);
}

void an_empty_base_ends_unless_it_is_to_go_on(void **)
{
    assert_int_equal(run(), 0);
    assert_int_equal(run(EVLOOP_NO_EXIT_ON_EMPTY), 1);
    assert_true(wait_ms == INFINITE);
    counted *woken = count_events(base, -1, 0);
    elsewhere_at(fake::now_us() + 5000, [woken] { event_active(woken->registered, EV_READ, 1); });
    outer::sleep();
    assert_int_equal(run(EVLOOP_NO_EXIT_ON_EMPTY), 1);
    assert_int_equal(woken->count, 1);
    assert_int_equal(run(), 0);
    free_counted(woken);
}

void a_run_can_be_ended_between_two_calls(void **)
{
    SOCKET socket;
    struct bufferevent *bev = open_echo(&socket);
    for (int i = 1; i <= 3; ++i) {
        assert_int_equal(run_until_asleep(), 1);
        fake::peer_sends(socket, "echo");
        fake::wait_outside(handle, wait_ms); // it may have been taken by the watching thread
        assert_int_equal(event_base_iocp_end_run(base), 0);
        assert_int_equal(event_base_iocp_end_run(base), 0);
        for (int turns = 0; turns < 5; ++turns)
            turn(base);
        assert_int_equal(fake::sent(socket).size(), 4 * i);
    }
    bufferevent_free(bev);
}

void a_base_can_be_freed_while_it_sleeps(void **)
{
    SOCKET socket;
    struct bufferevent *bev = open_echo(&socket);
    counted *timer = add_event(0, 5000);
    assert_int_equal(run_until_asleep(), 1);
    bufferevent_free(bev); // a receive is in flight
    free_counted(timer);
    event_base_free(base);
    base = nullptr;
}

void freed_with_packets_that_nobody_has_taken(void **)
{
    SOCKET socket;
    struct bufferevent *bev = open_echo(&socket);
    assert_int_equal(run_until_asleep(), 1);
    fake::peer_sends(socket, "echo");
    outer::sleep();
    assert_int_equal(wakes, 1);
    bufferevent_free(bev);
    event_base_free(base);
    base = nullptr;
}

// --- what is refused ----------------------------------------------------------------------------------------------

int refused, refused_ends;

void on_run_within(evutil_socket_t, short, void *)
{
    DWORD unused;
    refused = event_base_iocp_run(base, 0, &unused) == -1 ? WSAGetLastError() : 0;
    refused_ends = event_base_iocp_end_run(base) == -1 ? WSAGetLastError() : 0;
}

void only_one_runs_a_base(void **)
{
    struct event *within = evtimer_new(base, on_run_within, nullptr);
    for (bool embeds : {true, false}) {
        refused = refused_ends = 0;
        event_active(within, EV_TIMEOUT, 1);
        assert_int_equal(embeds ? run() : turn(base), 0);
        assert_int_equal(refused, WSAEINPROGRESS);
        assert_int_equal(refused_ends, WSAEINPROGRESS);
    }
    event_free(within);
    counted *distant = add_event(0, 5000000);
    assert_int_equal(run_until_asleep(), 1);
    become_thread(other_thread);
    assert_int_equal(run(), -1);
    assert_int_equal(WSAGetLastError(), WSAEINPROGRESS);
    assert_int_equal(event_base_iocp_end_run(base), 0);
    assert_int_equal(run(), 1); // it is the other one's now
    become_thread(loop_thread);
    assert_int_equal(run(), -1);
    become_thread(other_thread);
    assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), -1);
    assert_int_equal(warnings().size(), 1);
    free_counted(distant);
}

void wrong_calls_are_refused(void **)
{
    DWORD ms;
    for (int flags : {EVLOOP_ONCE, EVLOOP_NONBLOCK, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY}) {
        assert_int_equal(event_base_iocp_run(base, flags, &ms), -1);
        assert_int_equal(WSAGetLastError(), WSAEINVAL);
    }
    assert_int_equal(event_base_iocp_run(base, 0, nullptr), -1);
    assert_int_equal(WSAGetLastError(), WSAEINVAL);
    struct event_base *on_select = make_base(as_always);
    WSASetLastError(0);
    assert_null(event_base_iocp_get_handle(on_select));
    assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
    for (struct event_base *none : {on_select, static_cast<struct event_base *>(nullptr)}) {
        WSASetLastError(0);
        assert_null(event_base_iocp_get_event(none));
        assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
    }
    assert_int_equal(event_base_iocp_run(on_select, 0, &ms), -1);
    assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
    assert_int_equal(event_base_iocp_end_run(on_select), -1);
    assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
    event_base_free(on_select);
}

void a_port_that_fails_ends_the_run(void **)
{
    counted *distant = add_event(0, 5000000);
    assert_int_equal(run_until_asleep(), 1);
    fake::fail_calls(fake::call::port_dequeue, ERROR_INVALID_HANDLE);
    elsewhere_at(fake::now_us(), [] { event_base_loopcontinue(base); });
    outer::sleep();
    assert_int_equal(run(), -1);
    assert_int_equal(WSAGetLastError(), ERROR_INVALID_HANDLE);
    forget_warnings();
    free_counted(distant);
}

int run_group()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exits_and_breaks_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_base_ends_unless_it_is_to_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_can_be_ended_between_two_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_can_be_freed_while_it_sleeps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freed_with_packets_that_nobody_has_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_one_runs_a_base, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_calls_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_that_fails_ends_the_run, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

} // namespace

int main()
{
    return run_both_ways(run_group);
}
