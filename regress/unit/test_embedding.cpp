// A base inside another loop, on the fake kernel: what is started, how long it may be waited for, and who else wakes it.
// Once waited for at its port, and once by an event that a thread sets. That its callbacks come as in a loop of its own is
// test_embedding_model.cpp's.
#include "support/outer_loop.h"

#include "backend/backend.h"

using namespace iocp;
using namespace iocp::outer;

namespace {

// --- what is started, and how long to wait ------------------------------------------------------------------------

void an_echo_takes_no_timer(void **)
{
    SOCKET socket;
    struct bufferevent *bev = open_echo(&socket);
    for (int i = 1; i <= 100; ++i) {
        fake::at(fake::now_us() + 3000, [socket] { fake::peer_sends(socket, "echo"); });
        for (int sleeps = 0; fake::sent(socket).size() < static_cast<size_t>(4 * i); ++sleeps) {
            assert_true(sleeps < 4);
            assert_int_equal(run(), 1);
            assert_true(wait_ms == INFINITE);
            if (fake::sent(socket).size() < static_cast<size_t>(4 * i))
                outer::sleep();
        }
    }
    assert_int_equal(time_outs, 0);
    assert_in_range(wakes, 100, 200);
    bufferevent_free(bev);
}

void what_is_waited_for_is_in_flight(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    counted *reader = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ | EV_PERSIST);
    event_add(reader->registered, nullptr);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(fake::polls_waiting(socket), 1);
    fake::set_level(socket, sys::afd_receive);
    outer::sleep();
    assert_int_equal(wakes, 1);
    assert_int_equal(run(), 1);
    assert_true(reader->count > 0);
    free_counted(reader);
    fake::close_by_program(socket);
}

void the_wait_is_to_the_next_timer(void **)
{
    for (int64_t delay : {int64_t{1}, int64_t{1000}, int64_t{1001}, int64_t{86400000000}}) {
        counted *timer = add_event(0, delay);
        int64_t added = fake::now_us();
        assert_int_equal(run_until_asleep(), 1);
        assert_int_equal(wait_ms, (delay + 999) / 1000);
        outer::sleep();
        assert_int_equal(run_until_asleep(), 0); // it was the last event
        assert_int_equal(timer->count, 1);
        assert_true(timer->last_us >= added + delay);
        free_counted(timer);
    }
    assert_int_equal(wakes, 0);
    assert_int_equal(time_outs, 4);
    counted *forever = add_event(0, int64_t{100000000} * 1000000);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(wait_ms, INFINITE - 1);
    free_counted(forever);
    counted *signal = count_events(base, 2, EV_SIGNAL | EV_PERSIST);
    event_add(signal->registered, nullptr);
    assert_int_equal(run_until_asleep(), 1);
    assert_true(wait_ms == INFINITE);
    free_counted(signal);
}

void a_common_timeout_is_told(void **)
{
    struct timeval seven = {0, 7000};
    const struct timeval *common = event_base_init_common_timeout(base, &seven);
    counted *timer = count_events(base, -1, 0);
    event_add(timer->registered, common);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(wait_ms, 7);
    outer::sleep();
    run();
    assert_int_equal(timer->count, 1);
    free_counted(timer);
}

void a_shortage_is_tried_again_soon(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::fail_calls(fake::call::afd_poll, WSAENOBUFS, 1);
    counted *reader = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ | EV_PERSIST);
    event_add(reader->registered, nullptr);
    assert_int_equal(run_until_asleep(), 1);
    assert_in_range(wait_ms, 1, 10);
    outer::sleep();
    assert_int_equal(time_outs, 1);
    assert_int_equal(run_until_asleep(), 1);
    assert_true(wait_ms == INFINITE);
    assert_int_equal(fake::polls_waiting(socket), 1);
    free_counted(reader);
    fake::close_by_program(socket);
}

// --- the outer loop's part ----------------------------------------------------------------------------------------

struct event *restless;
int restless_calls;

void on_restless(evutil_socket_t, short, void *)
{
    ++restless_calls;
    struct timeval now = {0, 0};
    event_add(restless, &now);
}

// However much a base has to do.
void a_busy_base_leaves_the_outer_loop_its_turn(void **)
{
    restless = evtimer_new(base, on_restless, nullptr);
    restless_calls = 0;
    on_restless(-1, 0, nullptr);
    for (int i = 1; i <= 10; ++i) {
        uint64_t before = backend_of(base)->loop.turn;
        assert_int_equal(run(), 1);
        assert_int_equal(wait_ms, 0);
        assert_int_equal(backend_of(base)->loop.turn, before + EVENT_IOCP_MAX_TURNS_A_RUN);
        assert_in_range(restless_calls, i * (EVENT_IOCP_MAX_TURNS_A_RUN - 1), 1 + i * (EVENT_IOCP_MAX_TURNS_A_RUN + 1));
    }
    event_free(restless);
}

// With priorities a pass of libevent's may never end, as long as there are callbacks of a low one to be run: the limit
// holds for that, too, and those callbacks are not lost.
void a_pass_that_does_not_end_is_left_as_well(void **)
{
    event_base_priority_init(base, 2);
    SOCKET socket = fake::open_socket(fake::kind::stream, sys::afd_send);
    counted *busy = count_events(base, static_cast<evutil_socket_t>(socket), EV_WRITE | EV_PERSIST);
    counted *low = count_events(base, -1, 0);
    event_priority_set(busy->registered, 0);
    event_priority_set(low->registered, 1);
    event_add(busy->registered, nullptr);
    assert_int_equal(run(), 1);
    event_active(low->registered, EV_TIMEOUT, 1);
    for (int i = 0; i < 3; ++i) {
        int before = busy->count;
        assert_int_equal(run(), 1);
        assert_int_equal(wait_ms, 0);
        assert_in_range(busy->count - before, EVENT_IOCP_MAX_TURNS_A_RUN / 2, EVENT_IOCP_MAX_TURNS_A_RUN + 1);
    }
    assert_int_equal(low->count, 0);
    fake::set_level(socket, 0);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(low->count, 1);
    free_counted(busy);
    free_counted(low);
    fake::close_by_program(socket);
}

// --- other threads ------------------------------------------------------------------------------------------------

void another_thread_wakes_the_outer_loop(void **)
{
    counted *woken = count_events(base, -1, EV_PERSIST);
    counted *distant = add_event(0, int64_t{3600} * 1000000);
    for (int i = 1; i <= 1000; ++i) {
        assert_int_equal(run_until_asleep(), 1);
        elsewhere_at(fake::now_us() + (i % 3) * 500, [woken] { event_active(woken->registered, EV_READ, 1); });
        outer::sleep();
        assert_int_equal(run(), 1);
        assert_int_equal(woken->count, i);
    }
    assert_int_equal(time_outs, 0);
    assert_int_equal(wakes, 1000);
    free_counted(woken);
    free_counted(distant);
}

// An earlier timer, a socket, bytes to send, the last event that goes.
void what_another_thread_changes_is_seen(void **)
{
    counted *distant = add_event(0, int64_t{3600} * 1000000);
    counted *close_by = count_events(base, -1, 0);
    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [close_by] {
        struct timeval soon = {0, 2000};
        event_add(close_by->registered, &soon);
    });
    outer::sleep();
    assert_int_equal(wakes, 1);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(wait_ms, 2);
    outer::sleep();
    run();
    assert_int_equal(close_by->count, 1);

    SOCKET socket;
    struct bufferevent *bev = open_echo(&socket);
    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [bev] { bufferevent_write(bev, "bytes", 5); });
    outer::sleep();
    assert_int_equal(run_until_asleep(), 1);
    assert_string_equal(fake::sent(socket).c_str(), "bytes");
    bufferevent_free(bev);

    free_counted(distant);
    free_counted(close_by);
    socket = fake::open_socket(fake::kind::stream);
    counted *last = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ);
    event_add(last->registered, nullptr);
    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [last] { event_del(last->registered); });
    outer::sleep();
    assert_int_equal(run_until_asleep(), 0);
    assert_int_equal(time_outs, 1);
    free_counted(last);
    fake::close_by_program(socket);
}

int run_group()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_echo_takes_no_timer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_waited_for_is_in_flight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_wait_is_to_the_next_timer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_common_timeout_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shortage_is_tried_again_soon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_busy_base_leaves_the_outer_loop_its_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pass_that_does_not_end_is_left_as_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_wakes_the_outer_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_another_thread_changes_is_seen, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

} // namespace

int main()
{
    return run_both_ways(run_group);
}
