// What a wait for a handle tells, when, and what is refused.
#include "support/handle_waits.h"

#include "support/guard.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

using namespace iocp;
using namespace iocp::waits;

namespace {

void a_signal_is_told_once(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {};
    wait_for(handle, 0, &to);
    fake::signal(handle);
    turns(3);
    assert_int_equal(to.count, 0);
    assert_false(evwait_iocp_pending(to.wait));
    assert_int_equal(evwait_iocp_add(to.wait, nullptr), 0);
    assert_int_equal(to.count, 0); // not from within the call
    assert_true(evwait_iocp_pending(to.wait));
    turns(3);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.what, EV_READ);
    assert_ptr_equal(to.handle, handle);
    assert_false(evwait_iocp_pending(to.wait));
    fake::signal(handle);
    turns(3);
    assert_int_equal(to.count, 1);
    assert_true(fake::is_signalled(handle)); // and not consumed
    assert_int_equal(evwait_iocp_add(to.wait, nullptr), 0);
    turns(3);
    assert_int_equal(to.count, 2);
    assert_false(fake::is_signalled(handle));
    end(handle, &to);
}

void the_caller_may_close_his_handle(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    HANDLE again = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {}, other = {};
    added(handle, EV_PERSIST, &to);
    added(again, 0, &other);
    fake::signal(handle);
    fake::close_waitable(handle);
    fake::close_waitable(again);
    turns(3);
    assert_int_equal(to.count, 1);
    assert_int_equal(other.count, 0);
    assert_true(evwait_iocp_pending(other.wait));
    evwait_iocp_free(to.wait);
    evwait_iocp_free(other.wait);
}

void each_signal_of_a_persistent_wait(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::semaphore);
    told to = {};
    added(handle, EV_PERSIST, &to);
    for (int i = 0; i < 5; ++i)
        fake::signal(handle);
    for (int i = 1; i <= 5; ++i) {
        turns(1);
        assert_in_range(to.count, i - 1, i);
    }
    turns(2);
    assert_int_equal(to.count, 5);
    assert_true(evwait_iocp_pending(to.wait));
    end(handle, &to);
}

// It calls back in each turn, and everybody else does, too.
void what_stays_signalled_starves_nobody(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::manual, true);
    told to = {};
    added(handle, EV_PERSIST, &to);
    counted *timer = count_events(base, -1, EV_PERSIST);
    struct timeval interval = {0, 1000};
    event_add(timer->registered, &interval);
    for (int i = 0; i < 20; ++i) {
        int before = to.count;
        fake::advance_us(1000);
        turn_to_port(base);
        assert_in_range(to.count, before, before + 1);
    }
    assert_in_range(to.count, 15, 20);
    assert_in_range(timer->count, 19, 20);
    fake::unsignal(handle);
    turns(2);
    int last = to.count;
    turns(3);
    assert_int_equal(to.count, last);
    free_counted(timer);
    end(handle, &to);
}

// The loop has something to wait for, and nothing once it is told.
void the_loop_stays_for_it(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {};
    added(handle, 0, &to);
    fake::at(fake::now_us() + 1000 * 1000, [handle] { fake::signal(handle); });
    assert_int_equal(event_base_dispatch(base), 1);
    assert_int_equal(to.count, 1);
    assert_int_equal(evwait_iocp_add(to.wait, nullptr), 0);
    evwait_iocp_del(to.wait);
    assert_int_equal(event_base_dispatch(base), 1);
    end(handle, &to);
}

void a_shortage_ends_nothing(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::semaphore, true);
    told to = {};
    added(handle, EV_PERSIST, &to);
    fake::signal(handle);
    fake::fail_calls(fake::call::wait_start, ERROR_NO_SYSTEM_RESOURCES, 3);
    turns(2);
    assert_int_equal(to.count, 1);
    assert_true(evwait_iocp_pending(to.wait));
    assert_int_equal(fake::operations_in_flight(), 0);
    for (int i = 0; i < 6; ++i) {
        fake::advance_us(10 * 1000);
        turns(2);
    }
    assert_int_equal(to.count, 2);
    end(handle, &to);
}

// Nor for the timer by which it is tried again.
void a_shortage_of_all_memory_ends_nothing(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::semaphore, true);
    told to = {};
    added(handle, EV_PERSIST, &to);
    fake::signal(handle);
    fake::fail_calls(fake::call::wait_start, ERROR_NO_SYSTEM_RESOURCES, 1000);
    guard::fail_allocations(0, 1000);
    turn(base);
    assert_int_equal(to.count, 1);
    assert_true(guard::failed_allocations() > 0);
    fake::fail_calls(fake::call::wait_start, 0, 0);
    turns(2); // still without the timer's
    guard::fail_allocations(0, 0);
    assert_int_equal(to.count, 2);
    end(handle, &to);
}

void windows_refuses_to_wait_anew(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::semaphore, true);
    told to = {};
    added(handle, EV_PERSIST, &to);
    fake::fail_calls(fake::call::wait_start, ERROR_INVALID_HANDLE);
    turns(1);
    turns(2);
    assert_int_equal(to.count, 2);
    assert_int_equal(to.what, EV_CLOSED);
    assert_false(evwait_iocp_pending(to.wait));
    turns(2);
    assert_int_equal(to.count, 2);
    end(handle, &to);
}

void a_wait_that_cannot_begin(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {};
    wait_for(handle, 0, &to);
    struct timeval timeout = {0, 1000};
    for (int error : {ERROR_NOT_ENOUGH_MEMORY, ERROR_INVALID_HANDLE}) {
        fake::fail_calls(fake::call::wait_start, error);
        assert_int_equal(evwait_iocp_add(to.wait, &timeout), -1);
        assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
        assert_false(evwait_iocp_pending(to.wait));
    }
    fake::advance_us(2000);
    assert_int_equal(event_base_dispatch(base), 1);
    assert_int_equal(to.count, 0);
    end(handle, &to);
}

void refuses(struct event_base *on, HANDLE handle, short events, evwait_iocp_cb cb, int error)
{
    size_t handles = fake::handles_open();
    WSASetLastError(0);
    assert_null(evwait_iocp_new(on, handle, events, cb, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
    assert_int_equal(fake::handles_open(), handles);
}

void what_is_refused(void **state)
{
    struct event_base *plain = make_base(on_select_unlocked);
    HANDLE good = fake::open_waitable(fake::waitable_kind::automatic);
    refuses(plain, good, 0, on_wait, WSAEOPNOTSUPP);
    refuses(nullptr, good, 0, on_wait, WSAEOPNOTSUPP);
    event_base_free(plain);
    free_base();
    set_up(state); // one on select leaves a block of libevent's own
    good = fake::open_waitable(fake::waitable_kind::automatic);
    HANDLE mutex = fake::open_waitable(fake::waitable_kind::mutex);
    HANDLE no_rights = fake::open_waitable(fake::waitable_kind::no_rights);
    refuses(base, good, 0, nullptr, WSAEINVAL);
    refuses(base, good, EV_WRITE, on_wait, WSAEINVAL);
    refuses(base, nullptr, 0, on_wait, ERROR_INVALID_HANDLE);
    refuses(base, mutex, 0, on_wait, ERROR_INVALID_PARAMETER);
    refuses(base, backend_of(base)->port->for_libevent.port, 0, on_wait, ERROR_INVALID_PARAMETER);
    refuses(base, no_rights, 0, on_wait, ERROR_ACCESS_DENIED);
    evwait_iocp_free(nullptr);
    for (HANDLE each : {good, mutex, no_rights})
        fake::close_waitable(each);
}

// The fake's own rule, which who waits comes to only past wait_duplicate.
void no_packet_takes_a_mutex_or_a_port(void **)
{
    HANDLE mutex = fake::open_waitable(fake::waitable_kind::mutex), port = backend_of(base)->port->for_libevent.port;
    for (HANDLE each : {mutex, port}) {
        sys::handle_wait wait = {};
        OVERLAPPED overlapped = {};
        assert_int_equal(sys::wait_start(&wait, each, port, 0, &overlapped), ERROR_INVALID_PARAMETER);
        assert_null(wait.packet);
    }
    fake::close_waitable(mutex);
}

void priorities_hold(void **)
{
    event_base_priority_init(base, 3);
    HANDLE handles[] = {fake::open_waitable(fake::waitable_kind::automatic, true),
                        fake::open_waitable(fake::waitable_kind::automatic, true)};
    static int order[2], next;
    next = 0;
    told to[2] = {};
    for (int i = 0; i < 2; ++i) {
        wait_for(handles[i], 0, &to[i]);
        assert_int_equal(evwait_iocp_priority_set(to[i].wait, 2 - i), 0);
        assert_int_equal(evwait_iocp_priority_set(to[i].wait, 3), -1);
        assert_int_equal(evwait_iocp_add(to[i].wait, nullptr), 0);
    }
    to[0].and_then = [](told *) { order[next++] = 0; };
    to[1].and_then = [](told *) { order[next++] = 1; };
    turns(4);
    assert_int_equal(next, 2);
    assert_int_equal(order[0], 1);
    for (int i = 0; i < 2; ++i)
        end(handles[i], &to[i]);
}

void counters_follow(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {};
    added(handle, EV_PERSIST, &to);
    fake::signal(handle);
    turns(2);
    evwait_iocp_del(to.wait);
    struct event_iocp_stats now;
    assert_int_equal(event_iocp_get_stats(base, &now, sizeof(now)), 0);
    assert_int_equal(now.handle_waits.started, 2);
    assert_int_equal(now.handle_waits.cancelled, 1);
    assert_int_equal(now.handle_waits.failed, 0);
    assert_int_equal(now.handle_waits.in_flight, 0);
    end(handle, &to);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        WAIT_TEST(a_signal_is_told_once),
        WAIT_TEST(the_caller_may_close_his_handle),
        WAIT_TEST(each_signal_of_a_persistent_wait),
        WAIT_TEST(what_stays_signalled_starves_nobody),
        WAIT_TEST(the_loop_stays_for_it),
        WAIT_TEST(a_shortage_ends_nothing),
        WAIT_TEST(a_shortage_of_all_memory_ends_nothing),
        WAIT_TEST(windows_refuses_to_wait_anew),
        WAIT_TEST(a_wait_that_cannot_begin),
        WAIT_TEST(what_is_refused),
        cmocka_unit_test_prestate_setup_teardown(no_packet_takes_a_mutex_or_a_port, set_up, tear_down, &by_packets),
        WAIT_TEST(priorities_hold),
        WAIT_TEST(counters_follow),
    };
    return cmocka_run_group_tests_name("handle_waits", tests, nullptr, nullptr);
}
