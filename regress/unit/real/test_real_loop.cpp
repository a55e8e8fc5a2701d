// Timers, threads, signals and the end of bases on the real kernel.
#include <initializer_list>
#include <signal.h>

#include "../../real/accounting.h"
#include "real/real_base.h"

using namespace real;

namespace {

void timers_are_never_early(void **)
{
    for (long delay_us : {1000L, 1500L, 15000L, 16000L}) {
        for (int i = 0; i < 20; ++i) {
            struct timeval delay = {0, delay_us}, before, after, spent;
            struct event *timer = evtimer_new(base, count_and_break, nullptr);
            event_gettime_monotonic(base, &before);
            event_add(timer, &delay);
            assert_true(run_loop());
            event_gettime_monotonic(base, &after);
            evutil_timersub(&after, &before, &spent);
            assert_true(spent.tv_sec > 0 || spent.tv_usec >= delay_us);
            event_free(timer);
        }
    }
}

DWORD WINAPI activate(void *argument)
{
    event_active(static_cast<struct event *>(argument), EV_TIMEOUT, 1);
    return 0;
}

DWORD WINAPI break_loop(void *)
{
    event_base_loopbreak(base);
    return 0;
}

bool run_with_thread(LPTHREAD_START_ROUTINE run, void *argument)
{
    HANDLE thread = CreateThread(nullptr, 0, run, argument, 0, nullptr);
    struct event *deadline = evtimer_new(base, out_of_time, nullptr);
    struct timeval limit = {deadline_seconds, 0};
    event_add(deadline, &limit);
    bool well = event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY) == 0 && evtimer_pending(deadline, nullptr) != 0;
    event_free(deadline);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    return well;
}

void CALLBACK count_routine(ULONG_PTR counter)
{
    ++*reinterpret_cast<int *>(counter);
}

HANDLE loop_thread;
int routines_run;

DWORD WINAPI queue_routines(void *woken)
{
    for (int i = 1; i <= 3; ++i) {
        QueueUserAPC(count_routine, loop_thread, reinterpret_cast<ULONG_PTR>(&routines_run));
        for (int tries = 0; tries < deadline_seconds * 1000 && *static_cast<volatile int *>(&routines_run) < i; ++tries)
            Sleep(1);
    }
    event_active(static_cast<struct event *>(woken), EV_TIMEOUT, 1);
    return 0;
}

// As in select's wait.
void routines_of_the_thread_run_in_the_wait(void **)
{
    struct event *woken = event_new(base, -1, 0, count_and_break, nullptr);
    routines_run = 0;
    DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &loop_thread, 0, FALSE,
                    DUPLICATE_SAME_ACCESS);
    assert_true(run_with_thread(queue_routines, woken));
    assert_int_equal(routines_run, 3);
    CloseHandle(loop_thread);
    event_free(woken);
}

void woken_by_another_thread(void **)
{
    struct event *woken = event_new(base, -1, 0, count_and_break, nullptr);
    for (int i = 1; i <= 100; ++i) {
        assert_true(run_with_thread(activate, woken));
        assert_int_equal(callbacks, i);
    }
    event_free(woken);
}

DWORD WINAPI add_event(void *argument)
{
    event_add(static_cast<struct event *>(argument), nullptr);
    return 0;
}

void changed_by_another_thread(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    struct event *writer = event_new(base, pair[0], EV_WRITE, count_and_break, nullptr);
    for (int i = 1; i <= 50; ++i) {
        assert_true(run_with_thread(add_event, writer));
        assert_int_equal(callbacks, i);
    }
    event_free(writer);
    close_pair(pair);
    callbacks = 0;
    // A break that comes before the loop starts is lost, as documented: with this event the loop has started.
    struct event *running = event_new(
        base, -1, 0, [](evutil_socket_t, short, void *thread) { ResumeThread(static_cast<HANDLE>(thread)); }, nullptr);
    HANDLE thread = CreateThread(nullptr, 0, break_loop, nullptr, CREATE_SUSPENDED, nullptr);
    event_assign(running, base, -1, 0, event_get_callback(running), thread);
    event_active(running, EV_TIMEOUT, 1);
    assert_int_equal(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
    assert_true(event_base_got_break(base));
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    event_free(running);
}

void raised_signal(void **)
{
    struct event *interrupt = evsignal_new(base, SIGINT, count_and_break, nullptr);
    event_add(interrupt, nullptr);
    for (int i = 1; i <= 3; ++i) {
        raise(SIGINT);
        assert_true(run_loop());
        assert_int_equal(callbacks, i);
    }
    event_free(interrupt);
}

void bases_leave_no_handles(void **state)
{
    unsigned long before = accounting::open_handles(), with_a_pair = 0;
    for (int i = 0; i < 50; ++i) {
        evutil_socket_t pair[2];
        make_pair(pair);
        with_a_pair = accounting::open_handles();
        struct event *both = add(pair[0], EV_READ | EV_WRITE | EV_PERSIST, count_only, nullptr);
        struct event *other = add(pair[1], EV_READ | EV_PERSIST, count_only, nullptr);
        look();
        event_free(both);
        look();
        event_base_free(base);
        free(other); // its base is gone
        close_pair(pair);
        set_up(state);
    }
    assert_true(with_a_pair >= before + 2); // they are counted here
    assert_true(accounting::open_handles() <= before + 8);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_are_never_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(routines_of_the_thread_run_in_the_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(woken_by_another_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changed_by_another_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(raised_signal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bases_leave_no_handles, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
