// The loop on a port: waits and timers, wake-ups, shortage of memory.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

struct event_base *base;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    become_thread(loop_thread);
    event_base_free(base);
    return check_nothing_is_left();
}

struct timeval as_timeval(int64_t us)
{
    return {static_cast<long>(us / 1000000), static_cast<long>(us % 1000000)};
}

SOCKET stream(ULONG level)
{
    return fake::open_socket(fake::kind::stream, level);
}

counted *watch(SOCKET socket, short what)
{
    counted *counting = count_events(base, static_cast<evutil_socket_t>(socket), what);
    assert_int_equal(event_add(counting->registered, nullptr), 0);
    return counting;
}

// On select it is writable, and nothing else; who waits to read alone hears nothing there.
void a_refused_connect_is_told_as_writable(void **)
{
    counted *both = watch(stream(sys::afd_connect_failed), EV_READ | EV_WRITE);
    turn(base);
    assert_int_equal(both->count, 1);
    assert_int_equal(both->what, EV_WRITE);
    free_counted(both);
    counted *polled = watch(stream(sys::afd_connect_failed), EV_READ | EV_WRITE | EV_CLOSED);
    turn(base);
    turn(base);
    assert_int_equal(polled->what, EV_WRITE);
    free_counted(polled);
    for (short flags : {EV_READ, EV_WRITE}) { // and together
        counted *first = watch(stream(sys::afd_connect_failed), EV_READ | EV_WRITE);
        counted *second = watch(stream(sys::afd_connect_failed), flags);
        turn(base);
        turn(base);
        assert_int_equal(first->what, EV_WRITE);
        assert_int_equal(second->what, flags);
        free_counted(first);
        free_counted(second);
    }
}

// --- timers -------------------------------------------------------------------------------------------------------

void fires_once(int64_t asked_us, int64_t grain_us)
{
    fake::set_clock_grain_us(grain_us);
    fake::advance_us(grain_us / 3 + 1);
    counted *timer = count_events(base, -1, 0);
    struct timeval delay = as_timeval(asked_us);
    int64_t added = fake::now_us();
    size_t waits = fake::waits().size();
    event_add(timer->registered, &delay);
    assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    assert_int_equal(timer->count, 1);
    assert_true(timer->last_us >= added + asked_us);
    assert_true(timer->last_us < added + asked_us + grain_us);
    // Told to the port to the microsecond: it rounds, in one place.
    assert_int_equal(fake::waits()[waits], asked_us);
    assert_int_equal(fake::waits().size(), waits + 1);
    free_counted(timer);
}

void timers_are_never_early(void **)
{
    for (int64_t grain : {1, 500, 1000, 15625})
        for (int64_t asked : {1, 2, 499, 999, 1000, 1001, 1500, 15000, 999999, 1000000, 86400000})
            fires_once(asked, grain);
}

void long_waits_are_cut(void **)
{
    counted *timer = count_events(base, -1, 0);
    struct timeval delay = {LONG_MAX / 2, 999999};
    event_add(timer->registered, &delay);
    fake::at(fake::now_us() + 5, [] { event_base_loopbreak(base); });
    counted *reader = watch(stream(0), EV_READ);
    fake::at(fake::now_us() + 10, [] { fake::set_level(fake::first_socket, sys::afd_receive); });
    event_base_loop(base, EVLOOP_ONCE);
    assert_true(fake::waits().back() > 0);
    assert_int_equal(timer->count, 0);
    free_counted(reader);
    free_counted(timer);
}

void waits_for_what_there_is(void **)
{
    counted *reader = watch(stream(0), EV_READ);
    fake::at(fake::now_us() + 70, [] { fake::set_level(fake::first_socket, sys::afd_receive); });
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(reader->count, 1);
    assert_int_equal(fake::waits().back(), -1);
    event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
    assert_int_equal(fake::waits().back(), 0);
    event_active(reader->registered, EV_READ, 1);
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fake::waits().back(), 0);
    free_counted(reader);
}

// --- wake-ups -----------------------------------------------------------------------------------------------------

// As another thread would: base->th_base_lock is NULL here, and all else is the same.
void activate_from_elsewhere(counted *woken)
{
    become_thread(other_thread);
    event_active(woken->registered, EV_TIMEOUT, 1);
    become_thread(loop_thread);
}

void wakes_are_coalesced(void **)
{
    counted *first = count_events(base, -1, 0);
    counted *second = count_events(base, -1, 0);
    int64_t start = fake::now_us();
    fake::at(start + 100, [=] {
        activate_from_elsewhere(first);
        activate_from_elsewhere(second);
    });
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    assert_int_equal(first->count, 1);
    assert_int_equal(second->count, 1);
    assert_int_equal(fake::calls(fake::call::port_post), 1);
    // Each later one is seen as well.
    for (int i = 2; i < 10; ++i) {
        int64_t time = fake::now_us() + 100;
        fake::at(time, [=] { activate_from_elsewhere(first); });
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
        assert_int_equal(first->count, i);
        assert_int_equal(first->last_us, time);
        assert_int_equal(fake::calls(fake::call::port_post), i);
    }
    free_counted(first);
    free_counted(second);
}

void break_and_exit_wake(void **)
{
    int64_t start = fake::now_us();
    fake::at(start + 40, [] {
        become_thread(other_thread);
        event_base_loopbreak(base);
        become_thread(loop_thread);
    });
    assert_int_equal(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
    assert_true(event_base_got_break(base));
    fake::at(start + 80, [] {
        become_thread(other_thread);
        event_base_loopexit(base, nullptr);
        become_thread(loop_thread);
    });
    assert_int_equal(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
    assert_int_equal(fake::now_us(), start + 80);
}

void wake_that_cannot_be_posted(void **)
{
    counted *woken = count_events(base, -1, 0);
    fake::at(fake::now_us() + 10, [=] {
        fake::fail_calls(fake::call::port_post, ERROR_NO_SYSTEM_RESOURCES);
        activate_from_elsewhere(woken);
    });
    // The next one must try again: the failed one has left no packet that could be waited for.
    counted *second = count_events(base, -1, 0);
    fake::at(fake::now_us() + 90, [=] { activate_from_elsewhere(second); });
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    assert_null(fake::complaint());
    assert_int_equal(woken->count, 1);
    assert_int_equal(second->count, 1);
    free_counted(woken);
    free_counted(second);
}

void broken_port_ends_the_loop(void **)
{
    fake::fail_calls(fake::call::port_dequeue, ERROR_INVALID_HANDLE);
    assert_int_equal(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), -1);
    assert_int_equal(warnings().size(), 1);
    assert_int_equal(turn(base), 0);
}

// --- shortage -----------------------------------------------------------------------------------------------------

void retries_when_short(fake::call which, int error)
{
    counted *reader = watch(stream(sys::afd_receive), EV_READ);
    fake::fail_calls(which, error, 5);
    int64_t start = fake::now_us();
    size_t waits = fake::waits().size();
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(reader->count, 1);
    assert_true(fake::now_us() - start <= 50000);
    assert_int_equal(fake::waits().size() - waits, 5);
    for (size_t i = waits; i < fake::waits().size(); ++i)
        assert_true(fake::waits()[i] > 0 && fake::waits()[i] <= 10000);
    free_counted(reader);
    fake::close_by_program(fake::first_socket);
}

void poll_without_memory(void **)
{
    retries_when_short(fake::call::afd_poll, WSAENOBUFS);
    retries_when_short(fake::call::afd_poll, ERROR_NOT_ENOUGH_MEMORY);
    retries_when_short(fake::call::afd_poll, ERROR_NO_SYSTEM_RESOURCES);
}

void device_without_memory(void **)
{
    static const fake::call steps[] = {fake::call::afd_open, fake::call::port_associate,
                                       fake::call::skip_packet_on_success};
    for (fake::call step : steps) {
        event_base_free(base);
        base = make_base(on_iocp);
        retries_when_short(step, WSAENOBUFS);
        assert_int_equal(fake::handles_open(), 2); // the port and one device: the failed ones were closed
    }
}

void poll_without_heap(void **)
{
    counted *reader = watch(stream(sys::afd_receive), EV_READ);
    guard::fail_allocations(0, 3);
    event_base_loop(base, EVLOOP_ONCE);
    guard::fail_allocations(0, 0);
    assert_int_equal(reader->count, 1);
    free_counted(reader);
}

void add_without_heap(void **)
{
    counted *reader = count_events(base, static_cast<evutil_socket_t>(stream(sys::afd_receive)), EV_READ);
    bool failed = true;
    for (unsigned after = 0; failed; ++after) {
        guard::fail_allocations(after, 1);
        bool added = event_add(reader->registered, nullptr) == 0;
        failed = guard::failed_allocations() != 0;
        guard::fail_allocations(0, 0);
        assert_true(added || failed);
        if (added && failed)
            event_del(reader->registered);
    }
    turn(base);
    assert_int_equal(reader->count, 1);
    free_counted(reader);
}

void short_wait_before_a_timer(void **)
{
    counted *reader = watch(stream(0), EV_READ);
    counted *timer = count_events(base, -1, 0);
    struct timeval delay = as_timeval(3000);
    event_add(timer->registered, &delay);
    fake::fail_calls(fake::call::afd_poll, WSAENOBUFS);
    int64_t start = fake::now_us();
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(timer->last_us, start + 3000);
    free_counted(reader);
    free_counted(timer);
}

// One that cannot be polled is told, and the others never know.
void bad_socket_hurts_only_itself(void **)
{
    counted *good = watch(stream(0), EV_READ | EV_PERSIST);
    counted *bad = watch(stream(0), EV_READ | EV_PERSIST);
    fake::fail_calls(fake::call::afd_poll, WSAEINVAL, 1, 1);
    turn_to_port(base);
    turn_to_port(base);
    assert_int_equal(bad->count, 1);
    assert_int_equal(good->count, 0);
    fake::set_level(fake::first_socket, sys::afd_receive);
    turn_to_port(base);
    assert_int_equal(good->count, 1);
    assert_int_equal(bad->count, 1);
    free_counted(good);
    free_counted(bad);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_refused_connect_is_told_as_writable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timers_are_never_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_waits_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_for_what_there_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wakes_are_coalesced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(break_and_exit_wake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wake_that_cannot_be_posted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_port_ends_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(poll_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(device_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(poll_without_heap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(add_without_heap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_wait_before_a_timer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_socket_hurts_only_itself, set_up, tear_down),
    };
    use_fake_threads();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
