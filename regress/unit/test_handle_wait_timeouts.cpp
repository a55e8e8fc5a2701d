// A wait for a handle that has a timeout: which of the two is told, and that neither costs the other.
#include "support/handle_waits.h"
#include "support/strict_locks.h"

using namespace iocp;
using namespace iocp::waits;

namespace {

void a_timeout_ends_the_wait(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {};
    struct timeval timeout = {0, 5000};
    assert_int_equal(evwait_iocp_add(wait_for(handle, 0, &to), &timeout), 0);
    assert_int_equal(event_base_dispatch(base), 1);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.what, EV_TIMEOUT);
    assert_int_equal(fake::waits_under_way(), 0);
    fake::signal(handle);
    turns(2);
    assert_int_equal(to.count, 1);
    assert_true(fake::is_signalled(handle));
    end(handle, &to);
}

// Its packet comes in the same turn, or later; the thread that posts may be slow.
void a_signal_is_not_lost_to_a_timeout(void **)
{
    for (int order = 0; order < 3; ++order) {
        HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
        told to = {};
        struct timeval timeout = {0, 5000};
        assert_int_equal(evwait_iocp_add(wait_for(handle, 0, &to), &timeout), 0);
        fake::hold_packets(order == 1);
        fake::hold_wait_threads(order == 2);
        fake::signal(handle);
        fake::advance_us(6000);
        turns(3);
        assert_int_equal(to.count, 1);
        assert_true(to.signals == 1);
        assert_false(fake::is_signalled(handle));
        fake::hold_packets(false);
        fake::release_all();
        fake::hold_wait_threads(false);
        turns(3);
        assert_int_equal(to.count, 1);
        end(handle, &to);
    }
}

void add_again(told *to)
{
    struct timeval timeout = {0, 5000};
    assert_int_equal(evwait_iocp_add(to->wait, &timeout), 0);
}

void on_timer(evutil_socket_t, short, void *argument)
{
    add_again(static_cast<told *>(argument));
}

// Somebody adds it again when both are due already: what was consumed is told, and the new timeout holds.
void a_signal_is_not_lost_to_a_new_timeout(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    for (bool is_signalled : {false, true}) {
        told to = {};
        struct event *first = evtimer_new(base, on_timer, &to);
        struct timeval timeout = {0, 5000}, earlier = {0, 4000};
        wait_for(handle, 0, &to);
        event_add(first, &earlier);
        assert_int_equal(evwait_iocp_add(to.wait, &timeout), 0);
        if (is_signalled)
            fake::signal(handle);
        fake::advance_us(6000);
        turn(base);
        turn(base);
        assert_int_equal(to.count, is_signalled ? 1 : 0);
        if (!is_signalled) {
            assert_true(evwait_iocp_pending(to.wait));
            fake::signal(handle);
            turns(2);
        }
        assert_int_equal(to.count, 1);
        assert_int_equal(to.what & EV_READ, EV_READ);
        event_free(first);
        evwait_iocp_free(to.wait);
    }
    fake::close_waitable(handle);
}

// Nor is it that Windows refuses to wait anew.
void a_refusal_is_not_lost_to_a_new_timeout(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::semaphore, true);
    event_base_priority_init(base, 2);
    told to = {};
    to.and_then = [](told *) {
        fake::advance_us(6000);
        event_base_loopbreak(base); // both timers are due before the refusal is told
    };
    struct event *first = evtimer_new(base, on_timer, &to);
    event_priority_set(first, 0);
    struct timeval timeout = {0, 5000}, earlier = {0, 4000};
    event_add(first, &earlier);
    assert_int_equal(evwait_iocp_priority_set(wait_for(handle, EV_PERSIST, &to), 1), 0);
    assert_int_equal(evwait_iocp_add(to.wait, &timeout), 0);
    fake::fail_calls(fake::call::wait_start, ERROR_INVALID_HANDLE);
    fake::signal(handle);
    while (to.count == 0)
        turn(base);
    turns(2);
    assert_int_equal(to.count, 2);
    assert_int_equal(to.what, EV_CLOSED);
    assert_false(evwait_iocp_pending(to.wait));
    event_free(first);
    end(handle, &to);
}

void a_persistent_wait_outlives_its_timeouts(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {};
    struct timeval timeout = {0, 5000};
    assert_int_equal(evwait_iocp_add(wait_for(handle, EV_PERSIST, &to), &timeout), 0);
    for (int i = 1; i <= 3; ++i) {
        fake::advance_us(5000);
        turns(2);
        assert_int_equal(to.timeouts, i);
    }
    fake::signal(handle);
    turns(2);
    assert_int_equal(to.signals, 1);
    assert_int_equal(to.timeouts, 3);
    fake::advance_us(4000);
    turns(2);
    assert_int_equal(to.timeouts, 3);
    fake::advance_us(2000);
    turns(2);
    assert_int_equal(to.timeouts, 4);
    end(handle, &to);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        WAIT_TEST(a_timeout_ends_the_wait),
        WAIT_TEST(a_signal_is_not_lost_to_a_timeout),
        WAIT_TEST(a_signal_is_not_lost_to_a_new_timeout),
        WAIT_TEST(a_refusal_is_not_lost_to_a_new_timeout),
        WAIT_TEST(a_persistent_wait_outlives_its_timeouts),
    };
    return cmocka_run_group_tests_name("handle_wait_timeouts", tests, nullptr, nullptr);
}
