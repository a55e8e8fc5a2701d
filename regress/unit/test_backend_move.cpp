// A base that changes under its events: event_reinit, and the move from select to a port that libevent launched.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

int tear_down(void **)
{
    become_thread(loop_thread);
    return check_nothing_is_left();
}

SOCKET stream(ULONG level)
{
    return fake::open_socket(fake::kind::stream, level);
}

counted *watch(struct event_base *base, SOCKET socket, short what)
{
    counted *counting = count_events(base, static_cast<evutil_socket_t>(socket), what);
    assert_int_equal(event_add(counting->registered, nullptr), 0);
    return counting;
}

// Wakes the base from elsewhere while it waits, and expects it to come.
void wakes(struct event_base *base)
{
    counted *woken = count_events(base, -1, 0);
    fake::at(fake::now_us() + 10, [=] {
        become_thread(other_thread);
        event_active(woken->registered, EV_TIMEOUT, 1);
        become_thread(loop_thread);
    });
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    assert_int_equal(woken->count, 1);
    free_counted(woken);
}

void reinit_in_every_state(void **)
{
    for (int turns = 0; turns < 2; ++turns)
        for (int ended = 0; ended < 2; ++ended)
            for (int pending_wake = 0; pending_wake < 2; ++pending_wake) {
                struct event_base *base = make_base(on_iocp);
                SOCKET socket = stream(0);
                counted *reader = watch(base, socket, EV_READ | EV_PERSIST);
                counted *gone = watch(base, stream(0), EV_READ | EV_PERSIST);
                for (int i = 0; i < turns; ++i)
                    turn_to_port(base);
                if (ended != 0)
                    fake::end_starting_thread();
                if (pending_wake != 0)
                    base->th_notify_fn(base);
                free_counted(gone);
                struct event_iocp_port *before = event_base_get_iocp_(base);
                assert_int_equal(event_reinit(base), 0);
                assert_true(is_on_port(base));
                assert_ptr_equal(event_base_get_iocp_(base), before);
                turn_to_port(base);
                assert_int_equal(reader->count, 0);
                fake::set_level(socket, sys::afd_receive);
                for (int i = 0; i < 5 && reader->count == 0; ++i)
                    turn_to_port(base); // there may be packets before its own
                assert_int_equal(reader->count, 1);
                fake::set_level(socket, 0);
                for (int i = 0; i < 5; ++i)
                    turn_to_port(base);
                wakes(base);
                wakes(base);
                assert_int_equal(base->th_notify_fd[0], -1);
                free_counted(reader);
                event_base_free(base);
                fake::close_by_program(socket);
            }
}

struct event_base *select_base_with_port()
{
    struct event_base *base = make_base(as_always);
    assert_string_equal(event_base_get_method(base), "win32");
    assert_int_equal(event_base_start_iocp_(base, 0), 0);
    return base;
}

void moves_with_its_events(void **)
{
    struct event_base *base = make_base(as_always);
    // The real select has these numbers in its sets, and never looks at them.
    counted *reader = watch(base, stream(0), EV_READ | EV_PERSIST);
    counted *writer = watch(base, stream(0), EV_WRITE);
    counted *timer = count_events(base, -1, 0);
    struct timeval delay = {1, 0};
    event_add(timer->registered, &delay);
    int64_t due = fake::now_us() + 1000000;
    assert_int_equal(event_base_start_iocp_(base, 0), 0);
    assert_non_null(event_base_get_iocp_(base));
    assert_true(is_on_port(base));
    fake::set_level(fake::first_socket, sys::afd_receive);
    fake::set_level(fake::first_socket + 4, sys::afd_send);
    turn_to_port(base);
    turn_to_port(base);
    assert_true(reader->count >= 1);
    assert_int_equal(writer->count, 1);
    fake::set_level(fake::first_socket, 0);
    turn_to_port(base);
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(timer->last_us, due);
    wakes(base);
    free_counted(reader);
    free_counted(writer);
    free_counted(timer);
    event_base_free(base);
}

void port_that_is_never_taken(void **)
{
    struct event_base *base = select_base_with_port();
    event_base_free(base);
}

struct event_base *moving;
struct event_iocp_port *given;

void ask_inside(evutil_socket_t, short, void *)
{
    given = event_base_get_iocp_(moving);
}

void not_while_the_loop_runs(void **)
{
    moving = select_base_with_port();
    given = reinterpret_cast<struct event_iocp_port *>(1);
    struct timeval now = {0, 0};
    event_base_once(moving, -1, EV_TIMEOUT, ask_inside, nullptr, &now);
    event_base_loop(moving, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_null(given);
    assert_string_equal(event_base_get_method(moving), "win32");
    assert_non_null(event_base_get_iocp_(moving));
    assert_true(is_on_port(moving));
    event_base_free(moving);
}

void not_when_ruled_out(void **)
{
    struct event_base *base = make_base({EVENT_BASE_FLAG_STARTUP_IOCP, 0, "iocp", nullptr});
    assert_null(event_base_get_iocp_(base));
    assert_string_equal(event_base_get_method(base), "win32");
    event_base_free(base);
}

void nothing_changes_without_memory(void **)
{
    struct event_base *base = select_base_with_port();
    guard::fail_allocations(0, 1);
    assert_null(event_base_get_iocp_(base));
    guard::fail_allocations(0, 0);
    assert_string_equal(event_base_get_method(base), "win32");
    assert_int_equal(turn(base), 0);
    assert_non_null(event_base_get_iocp_(base));
    assert_true(is_on_port(base));
    event_base_free(base);
}

// One socket that was closed without event_del is no reason to lose the others.
void moves_with_a_bad_socket(void **)
{
    struct event_base *base = make_base(as_always);
    counted *bad = watch(base, stream(0), EV_READ | EV_PERSIST);
    counted *good = watch(base, stream(0), EV_READ | EV_PERSIST);
    fake::close_by_program(fake::first_socket);
    event_base_start_iocp_(base, 0);
    event_base_get_iocp_(base);
    assert_true(is_on_port(base));
    fake::set_level(fake::first_socket + 4, sys::afd_receive);
    turn_to_port(base);
    turn_to_port(base);
    assert_true(good->count >= 1);
    free_counted(bad);
    free_counted(good);
    event_base_free(base);
}

int delivered;
int delivered_failed;

void on_record(struct event_overlapped *, ev_uintptr_t key, ev_ssize_t bytes, int ok)
{
    ++delivered;
    delivered_failed += !ok;
    assert_int_equal(key, 5);
    assert_int_equal(bytes, 17);
}

// libevent's internal port without a base: worker threads take its packets.
void port_without_a_base(void **)
{
    delivered = delivered_failed = 0;
    struct event_iocp_port *port = event_iocp_port_launch_(0);
    assert_non_null(port);
    struct event_overlapped records[20];
    for (struct event_overlapped &record : records) {
        event_overlapped_init_(&record, on_record);
        assert_int_equal(event_iocp_activate_overlapped_(port, &record, 5, 17), 0);
    }
    assert_int_equal(event_iocp_shutdown_(port, -1), 0);
    assert_int_equal(delivered, 20);
    assert_int_equal(delivered_failed, 0);
}

void port_without_a_base_or_threads(void **)
{
    struct event_iocp_port *port = event_iocp_port_launch_(0);
    struct event_overlapped record;
    event_overlapped_init_(&record, on_record);
    fake::fail_calls(fake::call::thread_start, ERROR_MAX_THRDS_REACHED);
    assert_int_equal(event_iocp_activate_overlapped_(port, &record, 5, 17), -1);
    delivered = 0;
    fake::fail_calls(fake::call::thread_start, ERROR_MAX_THRDS_REACHED, 1, 1);
    assert_int_equal(event_iocp_activate_overlapped_(port, &record, 5, 17), 0);
    assert_int_equal(event_iocp_shutdown_(port, -1), 0);
    assert_int_equal(delivered, 1);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reinit_in_every_state, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(moves_with_its_events, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(port_that_is_never_taken, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(not_while_the_loop_runs, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(not_when_ruled_out, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(nothing_changes_without_memory, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(moves_with_a_bad_socket, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(port_without_a_base, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(port_without_a_base_or_threads, set_up_kernel, tear_down),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data); // bases on select are on the real Winsock
    use_fake_threads();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
