// Waits for handles on the fake kernel, and what another thread does between the end of a wait and its callback, when the
// loop has let go of the base's lock.
#include "support/handle_waits.h"

#include <initializer_list>

#include "support/meanwhile.h"

using namespace iocp;
using namespace iocp::waits;

namespace {

told one;

void add_again()
{
    assert_int_equal(evwait_iocp_add(one.wait, nullptr), 0);
}

void take_packets()
{
    meanwhile_take_packets(base);
}

void a_wait_that_is_added_before_its_callback_is_told_of_each_signal_once(void **)
{
    for (short events : {short{0}, short{EV_PERSIST}}) {
        one = {};
        HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
        added(handle, events, &one);
        fake::signal(handle);
        meanwhile_do(base, add_again);
        turns(3);
        assert_true(meanwhile_done());
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
        meanwhile_do(base, take_packets);
        turn(base);
        fake::hold_packets(false);
        fake::release_all();
        turns(2);
        assert_true(meanwhile_done());
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
    meanwhile_start();
    return cmocka_run_group_tests_name("handle_wait_threads", tests, nullptr, nullptr);
}
