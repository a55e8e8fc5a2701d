// Waits for handles on the fake kernel, and what another thread does between the end of a wait and its callback, when the
// loop has let go of the base's lock.
#include "support/handle_waits.h"

#include <initializer_list>

#include "backend/backend.h"

using namespace iocp;
using namespace iocp::waits;

namespace {

int (*unlock_really)(unsigned, void *);
void (*meanwhile)(); // once, when the loop lets go of the lock before a callback

int unlock_and_let_others(unsigned mode, void *lock)
{
    int result = unlock_really(mode, lock);
    if (meanwhile != nullptr && base != nullptr && lock == base->th_base_lock && base->current_event != nullptr) {
        void (*action)() = meanwhile;
        meanwhile = nullptr;
        action();
    }
    return result;
}

told one;

void add_again()
{
    assert_int_equal(evwait_iocp_add(one.wait, nullptr), 0);
}

// As port_await does in a thread beside the loop.
void take_packets()
{
    base_locked held(base);
    port *on = backend_of(base)->port;
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    fake::release_all();
    assert_int_equal(sys::port_dequeue(on->for_libevent.port, entries, max_packets, 0, sys::wait_kind::plain, &count),
                     0);
    port_deliver(on, entries, count);
}

void a_wait_that_is_added_before_its_callback_is_told_of_each_signal_once(void **)
{
    for (short events : {short{0}, short{EV_PERSIST}}) {
        one = {};
        HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
        added(handle, events, &one);
        fake::signal(handle);
        meanwhile = add_again;
        turns(3);
        assert_null(meanwhile);
        assert_int_equal(one.count, 1);
        assert_int_equal(one.what, EV_READ);
        if (events == 0)
            add_again();
        fake::signal(handle);
        turns(3);
        assert_int_equal(one.count, 2);
        assert_int_equal(one.what, EV_READ);
        end(handle, &one);
    }
}

void a_signal_that_another_thread_takes_before_the_callback_of_a_timeout(void **)
{
    for (short events : {short{0}, short{EV_PERSIST}}) {
        one = {};
        HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
        struct timeval timeout = {0, 1000};
        assert_int_equal(evwait_iocp_add(wait_for(handle, events, &one), &timeout), 0);
        turns(1);
        fake::hold_packets(true);
        fake::signal(handle);
        fake::advance_us(2000);
        meanwhile = take_packets;
        turn(base);
        fake::hold_packets(false);
        fake::release_all();
        turns(2);
        assert_null(meanwhile);
        assert_int_equal(one.timeouts, 1);
        assert_int_equal(one.signals, 1);
        assert_false(fake::is_signalled(handle));
        end(handle, &one);
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        WAIT_TEST(a_wait_that_is_added_before_its_callback_is_told_of_each_signal_once),
        WAIT_TEST(a_signal_that_another_thread_takes_before_the_callback_of_a_timeout),
    };
    evthread_use_windows_threads();
    struct evthread_lock_callbacks *locks = evthread_get_lock_callbacks();
    unlock_really = locks->unlock;
    locks->unlock = unlock_and_let_others;
    return cmocka_run_group_tests_name("handle_wait_threads", tests, nullptr, nullptr);
}
