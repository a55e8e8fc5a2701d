// Who gets the port: the flag, the environment, avoided methods, required features; and what happens when it cannot be
// had.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

int tear_down(void **)
{
    for (const char *name : {"EVENT_IOCP=", "EVENT_NOIOCP=", "EVENT_NOWIN32=", "EVENT_PRECISE_TIMER="})
        _putenv(name);
    return check_nothing_is_left();
}

enum class expected { iocp, win32, none };

void check_base(const base_options &options, expected what)
{
    struct event_base *base = make_base(options);
    if (what == expected::none) {
        assert_null(base);
        return;
    }
    assert_non_null(base);
    assert_string_equal(event_base_get_method(base), what == expected::iocp ? "iocp" : "win32");
    if (what == expected::iocp) {
        assert_int_equal(event_base_get_features(base), EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE);
        assert_non_null(backend_of(base));
        assert_ptr_equal(event_base_get_iocp_(base), &backend_of(base)->port->for_libevent);
        assert_non_null(base->th_notify_fn);
        assert_int_equal(base->th_notify_fd[0], -1);
        assert_int_equal(base->sig.ev_signal_pair[0], -1);
    } else {
        assert_null(backend_of(base));
        assert_null(event_base_get_iocp_(base));
    }
    event_base_free(base);
    assert_int_equal(fake::calls(fake::call::thread_start), 0);
}

void flag_asks_for_the_port(void **)
{
    check_base(on_iocp, expected::iocp);
    assert_int_equal(warnings().size(), 0);
}

void without_the_flag_nothing_is_touched(void **)
{
    check_base(as_always, expected::win32);
    assert_int_equal(fake::calls(fake::call::startup), 0);
}

void environment_asks_for_the_port(void **)
{
    _putenv("EVENT_IOCP=1");
    check_base(as_always, expected::iocp);
    check_base({EVENT_BASE_FLAG_IGNORE_ENV, 0, nullptr, nullptr}, expected::win32);
    check_base({0, 0, "iocp", nullptr}, expected::win32);
    _putenv("EVENT_IOCP=0");
    check_base(as_always, expected::win32);
    check_base(on_iocp, expected::iocp);
}

void avoided_by_the_program(void **)
{
    check_base({EVENT_BASE_FLAG_STARTUP_IOCP, 0, "iocp", nullptr}, expected::win32);
    check_base({0, 0, "win32", nullptr}, expected::iocp);
    check_base({EVENT_BASE_FLAG_STARTUP_IOCP, 0, "win32", nullptr}, expected::iocp);
    check_base({0, 0, "win32", "iocp"}, expected::none);
    check_base({EVENT_BASE_FLAG_STARTUP_IOCP, 0, "win32", "iocp"}, expected::none);
}

void avoided_by_the_environment(void **)
{
    _putenv("EVENT_NOIOCP=1");
    check_base(on_iocp, expected::win32);
    check_base({EVENT_BASE_FLAG_STARTUP_IOCP | EVENT_BASE_FLAG_IGNORE_ENV, 0, nullptr, nullptr}, expected::iocp);
    _putenv("EVENT_IOCP=1");
    check_base(as_always, expected::win32);
    _putenv("EVENT_NOIOCP=");
    _putenv("EVENT_IOCP=");
    _putenv("EVENT_NOWIN32=1");
    check_base(as_always, expected::iocp);
    check_base({EVENT_BASE_FLAG_IGNORE_ENV, 0, nullptr, nullptr}, expected::win32);
    _putenv("EVENT_NOIOCP=1");
    check_base(as_always, expected::none);
}

void required_features(void **)
{
    check_base({0, EV_FEATURE_O1, nullptr, nullptr}, expected::iocp);
    check_base({0, EV_FEATURE_EARLY_CLOSE, nullptr, nullptr}, expected::iocp);
    check_base({0, EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE, nullptr, nullptr}, expected::iocp);
    check_base({0, EV_FEATURE_O1, "iocp", nullptr}, expected::none);
    check_base({EVENT_BASE_FLAG_STARTUP_IOCP, EV_FEATURE_ET, nullptr, nullptr}, expected::none);
    check_base({EVENT_BASE_FLAG_STARTUP_IOCP, EV_FEATURE_FDS, nullptr, nullptr}, expected::none);
}

void check_refused(fake::call which)
{
    fake::boot(1);
    forget_warnings();
    fake::fail_calls(which, ERROR_NO_SYSTEM_RESOURCES, 1000);
    check_base(on_iocp, expected::win32);
    assert_int_equal(warnings().size(), 1);
    assert_int_equal(fake::calls(which), 1);
    assert_null(fake::complaint_after_free());
}

void refused_with_the_flag(void **)
{
    check_refused(fake::call::port_create);
    check_refused(fake::call::startup);
}

void refused_otherwise(void **)
{
    fake::fail_calls(fake::call::port_create, ERROR_NO_SYSTEM_RESOURCES, 1000);
    _putenv("EVENT_IOCP=1");
    check_base(as_always, expected::win32);
    assert_int_equal(warnings().size(), 1);
    _putenv("EVENT_IOCP=");
    check_base({0, 0, "win32", nullptr}, expected::none);
    check_base({EVENT_BASE_FLAG_STARTUP_IOCP, 0, "win32", nullptr}, expected::none);
    // And the next base is as good as ever.
    fake::fail_calls(fake::call::port_create, 0, 0);
    check_base(on_iocp, expected::iocp);
}

// A base on select that was refused the port works, and can still be adopted by nobody.
void refused_base_works(void **)
{
    fake::fail_calls(fake::call::port_create, ERROR_NO_SYSTEM_RESOURCES, 1000);
    struct event_base *base = make_base(on_iocp);
    fake::fail_calls(fake::call::port_create, 0, 0);
    assert_int_equal(event_base_start_iocp_(base, 0), 0);
    assert_null(event_base_get_iocp_(base));
    counted *timer = count_events(base, -1, 0);
    struct timeval soon = {0, 0};
    event_add(timer->registered, &soon);
    turn(base);
    assert_int_equal(timer->count, 1);
    free_counted(timer);
    event_base_free(base);
}

void memory_runs_out(void **)
{
    int made = 0;
    for (unsigned after = 0; made == 0; ++after) {
        assert_true(after < 100);
        struct event_config *config = event_config_new();
        event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
        guard::fail_allocations(after, 1);
        struct event_base *base = event_base_new_with_config(config);
        bool failed = guard::failed_allocations() != 0;
        guard::fail_allocations(0, 0);
        event_config_free(config);
        made = !failed;
        if (base != nullptr) {
            if (!failed)
                assert_true(is_on_port(base));
            event_base_free(base);
        }
        if (fake::complaint_after_free() != nullptr)
            fail_msg("%s, when allocation %u failed", fake::complaint(), after);
    }
}

void precise_timer(void **)
{
    struct event_base *base =
        make_base({EVENT_BASE_FLAG_STARTUP_IOCP | EVENT_BASE_FLAG_PRECISE_TIMER, 0, nullptr, nullptr});
    assert_int_equal(fake::precise_clock_users(), 1);
    assert_int_equal(event_reinit(base), 0);
    assert_int_equal(fake::precise_clock_users(), 1);
    event_base_free(base);
    assert_int_equal(fake::precise_clock_users(), 0);
    base = make_base(on_iocp);
    assert_int_equal(fake::precise_clock_users(), 0);
    event_base_free(base);
    _putenv("EVENT_PRECISE_TIMER=1");
    base = make_base(on_iocp);
    assert_int_equal(fake::precise_clock_users(), 1);
    event_base_free(base);
}

void several_bases(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    struct event_base *third = make_base(as_always);
    assert_ptr_not_equal(event_base_get_iocp_(first), event_base_get_iocp_(second));
    assert_int_equal(fake::startups(), 2);
    event_base_free(first);
    SOCKET socket = fake::open_socket(fake::kind::stream, sys::afd_receive);
    counted *reader = count_events(second, static_cast<evutil_socket_t>(socket), EV_READ);
    event_add(reader->registered, nullptr);
    turn(second);
    assert_int_equal(reader->count, 1);
    free_counted(reader);
    event_base_free(third);
    event_base_free(second);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flag_asks_for_the_port, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(without_the_flag_nothing_is_touched, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(environment_asks_for_the_port, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(avoided_by_the_program, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(avoided_by_the_environment, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(required_features, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(refused_with_the_flag, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(refused_otherwise, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(refused_base_works, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(memory_runs_out, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(precise_timer, set_up_kernel, tear_down),
        cmocka_unit_test_setup_teardown(several_bases, set_up_kernel, tear_down),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data); // bases on select are on the real Winsock
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
