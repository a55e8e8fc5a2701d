// How a base ends, in whatever state: every operation, handle and byte is given back, or knowingly leaked.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

int tear_down(void **)
{
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

// After event_base_free the events may only be freed as memory.
void free_without_base(counted *counting)
{
    mm_free(counting->registered);
    delete counting;
}

void never_used(void **)
{
    event_base_free(make_base(on_iocp));
    event_base_free_nofinalize(make_base(on_iocp));
}

// Free while polls wait, while their packets are under way, while orphans are, and right after event_add.
void in_every_state(void **)
{
    for (int turns = 0; turns < 3; ++turns)
        for (int ended = 0; ended < 4; ++ended)
            for (int deleted = 0; deleted < 3; ++deleted)
                for (int closed = 0; closed < 2; ++closed) {
                    struct event_base *base = make_base(on_iocp);
                    SOCKET socket = stream(0);
                    counted *both = watch(base, socket, EV_READ | EV_WRITE | EV_PERSIST);
                    counted *early = watch(base, socket, EV_CLOSED | EV_PERSIST);
                    for (int i = 0; i < turns; ++i)
                        turn_to_port(base);
                    if (ended == 1)
                        fake::set_level(socket, sys::afd_receive);
                    if (ended == 2)
                        fake::set_level(socket, sys::afd_abort);
                    if (ended == 3)
                        fake::end_starting_thread();
                    if (deleted >= 1)
                        event_del(both->registered);
                    if (deleted == 2)
                        event_del(early->registered);
                    if (closed != 0)
                        fake::close_by_program(socket);
                    int64_t start = fake::now_us();
                    event_base_free(base);
                    assert_int_equal(warnings().size(), 0);
                    assert_int_equal(fake::now_us(), start); // the kernel gave all back at once
                    free_without_base(both);
                    free_without_base(early);
                    if (fake::complaint_after_free() != nullptr)
                        fail_msg("%s (turns %d, ended %d, deleted %d, closed %d)", fake::complaint(), turns, ended,
                                 deleted, closed);
                    if (closed == 0)
                        fake::close_by_program(socket);
                }
}

// Packets that are late and out of order, cancelled polls that end as if they were not: a thousand ends.
void at_random(void **)
{
    for (uint64_t seed = 1; seed <= 1000; ++seed) {
        fake::boot(seed, fake::all_chances);
        struct event_base *base = make_base(on_iocp);
        std::vector<counted *> events;
        for (int i = 0; i < 50; ++i)
            events.push_back(watch(base, stream(0), EV_READ | EV_WRITE | EV_PERSIST));
        for (int step = 0; step < 200; ++step) {
            SOCKET socket = fake::first_socket + 4 * (fake::random() % 50);
            counted *one = events[fake::random() % events.size()];
            fake::set_level(socket, fake::happens(500) ? ULONG{sys::afd_receive} : 0);
            if (fake::happens(300))
                event_del(one->registered);
            if (fake::happens(300))
                event_add(one->registered, nullptr);
            if (fake::happens(200))
                turn(base);
        }
        event_base_free(base);
        assert_int_equal(warnings().size(), 0);
        for (counted *one : events)
            free_without_base(one);
        if (fake::complaint_after_free() != nullptr)
            fail_msg("%s, seed %u", fake::complaint(), static_cast<unsigned>(seed));
    }
}

void with_packets_that_nobody_takes(void **)
{
    struct event_base *base = make_base(on_iocp);
    assert_int_equal(base->th_notify_fn(base), 0);
    struct event_overlapped *record = &backend_of(base)->signals.wake;
    for (int i = 0; i < 300; ++i)
        event_iocp_activate_overlapped_(event_base_get_iocp_(base), record, 0, 0);
    event_base_free(base);
}

void with_timers_and_active_events(void **)
{
    struct event_base *base = make_base(on_iocp);
    counted *timer = count_events(base, -1, EV_PERSIST);
    struct timeval later = {5, 0};
    event_add(timer->registered, &later);
    counted *active = watch(base, stream(0), EV_READ | EV_PERSIST);
    event_active(active->registered, EV_READ, 1);
    event_base_once(
        base, -1, EV_TIMEOUT, [](evutil_socket_t, short, void *) {}, nullptr, &later);
    event_base_free(base);
    free_without_base(timer);
    free_without_base(active);
}

int finalized;

void on_finalize(struct event *registered, void *)
{
    ++finalized;
    assert_non_null(event_get_base(registered));
}

void finalizers_run(void **)
{
    finalized = 0;
    struct event_base *base = make_base(on_iocp);
    counted *reader = watch(base, stream(sys::afd_receive), EV_READ | EV_PERSIST);
    turn_to_port(base);
    event_free_finalize(0, reader->registered, on_finalize);
    event_base_free(base);
    assert_int_equal(finalized, 1);
    delete reader;
}

// The kernel keeps two polls for good. What it may still write to is leaked, with one warning, and stays whole.
void drain_that_does_not_end(void **)
{
    struct event_base *base = make_base(on_iocp);
    counted *reader = watch(base, stream(0), EV_READ | EV_PERSIST);
    counted *other = watch(base, stream(0), EV_READ | EV_PERSIST);
    turn_to_port(base);
    fake::hold_cancelled(true);
    int64_t start = fake::now_us();
    event_base_free(base);
    assert_true(fake::now_us() - start >= drain_limit_us);
    assert_true(fake::now_us() - start <= 2 * drain_limit_us);
    assert_int_equal(warnings().size(), 1);
    assert_int_equal(fake::operations_in_flight(), 2);
    assert_int_equal(fake::handles_open(), 2);
    assert_int_equal(fake::startups(), 1);
    free_without_base(reader);
    free_without_base(other);
    fake::hold_cancelled(false); // the kernel writes now, and looks whether the memory is there
    assert_null(fake::complaint());
    assert_true(guard::freed_blocks_untouched());
    fake::boot(1);
}

void drain_that_takes_long(void **)
{
    struct event_base *base = make_base(on_iocp);
    counted *reader = watch(base, stream(0), EV_READ | EV_PERSIST);
    turn_to_port(base);
    fake::hold_cancelled(true);
    fake::at(fake::now_us() + drain_limit_us - 1000, [] { fake::hold_cancelled(false); });
    event_base_free(base);
    assert_int_equal(warnings().size(), 0);
    free_without_base(reader);
}

void other_bases_go_on(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    SOCKET socket = stream(0);
    counted *of_first = watch(first, stream(0), EV_READ | EV_PERSIST);
    counted *of_second = watch(second, socket, EV_READ | EV_PERSIST);
    turn_to_port(first);
    turn_to_port(second);
    event_base_free(first);
    fake::set_level(socket, sys::afd_receive);
    turn_to_port(second);
    assert_int_equal(of_second->count, 1);
    free_without_base(of_first);
    free_counted(of_second);
    event_base_free(second);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(never_used, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(in_every_state, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(at_random, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(with_packets_that_nobody_takes, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(with_timers_and_active_events, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(finalizers_run, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(drain_that_does_not_end, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(drain_that_takes_long, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(other_bases_go_on, set_up_kernel, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
