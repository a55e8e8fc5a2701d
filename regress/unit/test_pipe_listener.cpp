// A listener on a pipe, on the fake kernel: whom it tells of, what it refuses, and what it does in a shortage.
#include "support/check.h"

#include "support/fake_file.h"
#include "support/guard.h"
#include "support/listening_pipe.h"
#include "support/strict_locks.h"

using namespace iocp;
using namespace iocp::listening_pipe;

namespace {

void each_client_is_told_of_and_replaced(void **)
{
    begin();
    listen(3);
    for (size_t i = 1; i <= 20; ++i) {
        assert_int_equal(fake::client_opens(path), 0);
        assert_int_equal(the.told.size(), i - 1); // not from within
        turns(1);
        assert_int_equal(the.told.size(), i);
        assert_int_equal(fake::instances_that_listen(path), 3);
        assert_true(fake::file_skips_packets(the.told.back()));
        assert_false(fake::file_signals_no_end(the.told.back())); // its program may wait for it
    }
    // As many at a time as there are instances.
    for (int i = 0; i < 3; ++i)
        assert_int_equal(fake::client_opens(path), 0);
    assert_int_equal(fake::client_opens(path), ERROR_PIPE_BUSY);
    turns(2);
    assert_int_equal(the.told.size(), 23);
    assert_int_equal(fake::operations_in_flight(), 3);
    end();
}

void break_loop(evutil_socket_t, short, void *)
{
    event_base_loopbreak(the.base);
}

// ERROR_PIPE_CONNECTED, and ERROR_NO_DATA: no packet comes.
void clients_that_were_quicker(void **)
{
    begin();
    fake::set_quick_pipe_clients(2);
    listen();
    assert_int_equal(the.told.size(), 0);
    turns(2);
    assert_int_equal(the.told.size(), 2);
    // However many there are, others have their turn.
    fake::set_quick_pipe_clients(1000);
    assert_int_equal(fake::client_opens(path), 0);
    struct event *other = evtimer_new(the.base, break_loop, nullptr);
    struct timeval at_once = {0, 0};
    evtimer_add(other, &at_once);
    turns(1);
    event_free(other);
    assert_in_range(the.told.size(), 3, 20);
    turns(1);
    assert_int_equal(the.told.size(), 1003);
    assert_int_equal(fake::instances_that_listen(path), EVPIPELISTENER_IOCP_DEFAULT_INSTANCES);
    end();
}

void squatters(void **)
{
    begin();
    fake::take_pipe_name(path);
    listen();
    assert_null(the.listener);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_ACCESS_DENIED);
    end();
    begin();
    listen();
    assert_null(evpipelistener_iocp_new(the.base, name, 0, nullptr, on_client, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_ACCESS_DENIED);
    // The name is free as soon as the first is.
    for (int i = 0; i < 3; ++i) {
        free_listener();
        listen();
        assert_non_null(the.listener);
    }
    end();
}

void a_base_on_select(void **)
{
    fake::boot(1);
    struct event_base *base = make_base(on_select_unlocked);
    refused(base, name, 0, on_client, WSAEOPNOTSUPP);
    event_base_free(base);
    assert_null(fake::complaint_after_base_free()); // libevent keeps texts of errors
}

void bad_input(void **)
{
    begin();
    refused(nullptr, name, 0, on_client, WSAEOPNOTSUPP);
    refused(the.base, name, -1, on_client, WSAEINVAL);
    refused(the.base, name, EVPIPELISTENER_IOCP_MAX_INSTANCES + 1, on_client, WSAEINVAL);
    refused(the.base, name, 0, nullptr, WSAEINVAL);
    for (const char *wrong : {"", "name", R"(\\.\pipe\)", R"(\\.\pip\name)", R"(\\server\pipe\name)", R"(C:\file)",
                              R"(\\.\pipe\..\C:\file)", R"(\\.\pipe\a\..\b)", R"(\\.\pipe\a/../b)", R"(\\.\pipe\a\\b)",
                              R"(\\.\pipe\.)", R"(\\.\pipe\a\)"})
        refused(the.base, wrong, 0, on_client, ERROR_INVALID_NAME);
    refused(the.base, nullptr, 0, on_client, ERROR_INVALID_NAME);
    refused(the.base, "\\\\.\\pipe\\\xff", 0, on_client, ERROR_NO_UNICODE_TRANSLATION);
    std::string longest(256, 'x');
    longest.replace(0, 9, R"(\\.\pipe\)");
    refused(the.base, (longest + 'x').c_str(), 0, on_client, ERROR_FILENAME_EXCED_RANGE);
    evpipelistener_iocp_free(evpipelistener_iocp_new(the.base, longest.c_str(), 0, nullptr, on_client, nullptr));
    SECURITY_ATTRIBUTES security = {sizeof(security), nullptr, FALSE};
    the.listener = evpipelistener_iocp_new(the.base, R"(\\.\PIPE\a..\.b\c.)", 1, &security, on_client, nullptr);
    assert_non_null(the.listener);
    assert_int_equal(fake::security_copies(), 1);
    end();
}

// Every call that the first instance needs is refused once: there is no listener, and nothing is left.
void not_made(void **)
{
    for (fake::call which : {fake::call::pipe_create, fake::call::port_associate, fake::call::pipe_accept}) {
        begin();
        fake::fail_calls(which, ERROR_NO_SYSTEM_RESOURCES);
        listen();
        assert_null(the.listener);
        assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_NO_SYSTEM_RESOURCES);
        end();
    }
    for (unsigned after = 0;; ++after) {
        begin();
        unsigned failed = guard::failed_allocations();
        guard::fail_allocations(after, 1);
        listen();
        bool any = guard::failed_allocations() != failed;
        guard::fail_allocations(0, 0);
        if (the.listener == nullptr)
            assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAENOBUFS);
        turns(20);
        if (the.listener != nullptr)
            assert_int_equal(fake::instances_that_listen(path), EVPIPELISTENER_IOCP_DEFAULT_INSTANCES);
        end();
        if (!any)
            break;
    }
}

// It tries again at a pace, tells of it, keeps its name (see the fake's rule), and loses nobody.
void shortage(fake::call which, int instances)
{
    begin();
    listen(instances);
    for (int i = 0; i < instances; ++i)
        assert_int_equal(fake::client_opens(path), 0);
    fake::fail_calls(which, ERROR_NO_SYSTEM_RESOURCES, 1000000);
    turns(100); // a second
    assert_in_range(the.errors.size(), EVPIPELISTENER_IOCP_ERRORS_A_SECOND / 2,
                    EVPIPELISTENER_IOCP_ERRORS_A_SECOND + 1);
    assert_int_equal(the.errors[0], ERROR_NO_SYSTEM_RESOURCES);
    close_told();
    assert_true(fake::instances_of(path) >= 1);
    size_t told = the.told.size();
    fake::fail_calls(which, 0, 0);
    turns(20);
    assert_true(the.told.size() >= told);
    assert_int_equal(fake::instances_that_listen(path), instances);
    assert_int_equal(fake::client_opens(path), 0);
    turns(2);
    assert_true(the.told.size() >= 1);
    end();
}

void shortages(void **)
{
    for (fake::call which : {fake::call::pipe_create, fake::call::port_associate, fake::call::pipe_accept})
        for (int instances : {1, 2, 5})
            shortage(which, instances);
}

// Nor is there any for the timer by which it would try again.
void without_memory_it_tries_again(void **)
{
    begin();
    listen(2);
    assert_int_equal(fake::client_opens(path), 0);
    guard::fail_allocations(0, 1000000);
    turns(20);
    guard::fail_allocations(0, 0);
    turns(20);
    assert_int_equal(fake::instances_that_listen(path), 2);
    end();
}

// With the last instance, its client waits.
void the_last_instance_waits_for_another(void **)
{
    begin();
    listen(1);
    fake::fail_calls(fake::call::pipe_create, ERROR_NOT_ENOUGH_MEMORY, 3);
    assert_int_equal(fake::client_opens(path), 0);
    turns(3);
    assert_int_equal(the.told.size(), 0);
    turns(30);
    assert_int_equal(the.told.size(), 1);
    end();
}

void disabled(void **)
{
    begin();
    listen(2);
    evpipelistener_iocp_disable(the.listener);
    evpipelistener_iocp_disable(the.listener);
    assert_int_equal(event_base_dispatch(the.base), 1); // it keeps no loop
    for (int i = 0; i < 2; ++i)
        assert_int_equal(fake::client_opens(path), 0);
    turns(20);
    assert_int_equal(fake::client_opens(path), ERROR_PIPE_BUSY);
    assert_int_equal(the.told.size(), 0);
    evpipelistener_iocp_enable(the.listener);
    evpipelistener_iocp_enable(the.listener);
    turns(2);
    assert_int_equal(the.told.size(), 2);
    assert_int_equal(fake::instances_that_listen(path), 2);
    // By its own callback: the second of two is told of later.
    the.when_told = [] { evpipelistener_iocp_disable(the.listener); };
    for (int i = 0; i < 2; ++i)
        assert_int_equal(fake::client_opens(path), 0);
    turns(3);
    assert_int_equal(the.told.size(), 3);
    evpipelistener_iocp_enable(the.listener);
    turns(3);
    assert_int_equal(the.told.size(), 4);
    end();
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_client_is_told_of_and_replaced, set_up_kernel),
        cmocka_unit_test_setup(clients_that_were_quicker, set_up_kernel),
        cmocka_unit_test_setup(squatters, set_up_kernel),
        cmocka_unit_test_setup(a_base_on_select, set_up_kernel),
        cmocka_unit_test_setup(bad_input, set_up_kernel),
        cmocka_unit_test_setup(not_made, set_up_kernel),
        cmocka_unit_test_setup(shortages, set_up_kernel),
        cmocka_unit_test_setup(without_memory_it_tries_again, set_up_kernel),
        cmocka_unit_test_setup(the_last_instance_waits_for_another, set_up_kernel),
        cmocka_unit_test_setup(disabled, set_up_kernel),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
