// A base inside another loop, on the fake kernel: once waited for at its port, and once by an event that a thread sets.
// That its callbacks come as in a loop of its own is test_embedding_model.cpp's.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_embed.h"

#include "backend/backend.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

constexpr int max_sleeps = 1000;

struct event_base *base;
HANDLE handle;
DWORD wait_ms;
int wakes, time_outs;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    use_fake_threads();
    base = make_base(on_iocp);
    handle = event_base_iocp_get_handle(base);
    assert_non_null(handle);
    wakes = time_outs = 0;
    return 0;
}

int tear_down(void **)
{
    become_thread(loop_thread);
    if (base != nullptr)
        event_base_free(base);
    const char *complaint = fake::complaint_after_free();
    if (complaint != nullptr)
        print_error("%s\n", complaint);
    return complaint == nullptr ? 0 : -1;
}

int run(int flags = 0)
{
    wait_ms = 4711;
    return event_base_iocp_run(base, flags, &wait_ms);
}

// The outer loop waits as it was told.
void sleep_outside()
{
    ++(fake::wait_outside(handle, wait_ms) ? wakes : time_outs);
}

// Runs until it sleeps, and would for long.
int run_until_asleep(int flags = 0)
{
    int result = run(flags);
    for (int tries = 0; result == 1 && wait_ms == 0 && tries < max_sleeps; ++tries)
        result = run(flags);
    return result;
}

// What another thread does at that time.
void elsewhere_at(int64_t time_us, std::function<void()> action)
{
    fake::at(time_us, [action] {
        become_thread(other_thread);
        action();
        become_thread(loop_thread);
    });
}

counted *add_event(short what, int64_t delay_us = -1)
{
    counted *made = count_events(base, -1, what);
    struct timeval delay = {static_cast<long>(delay_us / 1000000), static_cast<long>(delay_us % 1000000)};
    assert_int_equal(event_add(made->registered, delay_us < 0 ? nullptr : &delay), 0);
    return made;
}

// --- what is started, and how long to wait ------------------------------------------------------------------------

void on_echo(struct bufferevent *bev, void *)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

struct bufferevent *open_echo(SOCKET *socket)
{
    *socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(*socket);
    auto *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(*socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_echo, nullptr, nullptr, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return bev;
}

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
                sleep_outside();
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
    sleep_outside();
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
        sleep_outside();
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
    sleep_outside();
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
    sleep_outside();
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
        sleep_outside();
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
    sleep_outside();
    assert_int_equal(wakes, 1);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(wait_ms, 2);
    sleep_outside();
    run();
    assert_int_equal(close_by->count, 1);

    SOCKET socket;
    struct bufferevent *bev = open_echo(&socket);
    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [bev] { bufferevent_write(bev, "bytes", 5); });
    sleep_outside();
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
    sleep_outside();
    assert_int_equal(run_until_asleep(), 0);
    assert_int_equal(time_outs, 1);
    free_counted(last);
    fake::close_by_program(socket);
}

// --- ends -----------------------------------------------------------------------------------------------------------

void exits_and_breaks_are_told(void **)
{
    counted *distant = add_event(0, int64_t{3600} * 1000000);
    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [] { event_base_loopbreak(base); });
    sleep_outside();
    assert_int_equal(wakes, 1);
    assert_int_equal(run(), 0);
    assert_true(event_base_got_break(base));
    assert_int_equal(wait_ms, 4711);

    assert_int_equal(run_until_asleep(), 1);
    assert_false(event_base_got_break(base));
    event_base_loopbreak(base); // by the outer loop
    assert_int_equal(run(), 0);
    assert_true(event_base_got_break(base));

    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, [] { event_base_loopexit(base, nullptr); });
    for (int sleeps = 0; run() == 1; ++sleeps) { // the first break's packet may still be there
        assert_true(sleeps < 3);
        sleep_outside();
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
    sleep_outside();
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
    sleep_outside();
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
    sleep_outside();
    assert_int_equal(run(), -1);
    assert_int_equal(WSAGetLastError(), ERROR_INVALID_HANDLE);
    forget_warnings();
    free_counted(distant);
}

} // namespace

int main()
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
        cmocka_unit_test_setup_teardown(exits_and_breaks_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_base_ends_unless_it_is_to_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_can_be_ended_between_two_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_can_be_freed_while_it_sleeps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freed_with_packets_that_nobody_has_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_one_runs_a_base, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_calls_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_that_fails_ends_the_run, set_up, tear_down),
    };
    fake::boot(1);
    event_base_free(make_base(as_always)); // the first base on select has what it keeps
    int failures = 0;
    for (const char *waits : {"EVENT_IOCP_NO_PORT_WAIT=0", "EVENT_IOCP_NO_PORT_WAIT=1"}) {
        print_message("%s\n", waits);
        _putenv(waits);
        failures += cmocka_run_group_tests(tests, nullptr, nullptr);
    }
    return failures;
}
