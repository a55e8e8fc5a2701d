// Bufferevents over files on the fake kernel, which keeps to what Windows does with pipes and serial ports: what waits
// without a buffer and what cannot, what fails in its call and yet sends a packet, what is nothing and no end.
#include "support/guard.h"
#include "support/handle_users.h"
#include "support/strict_locks.h"

#include "backend/backend.h"
#include "bufferevent/receive_buffer.h"

using namespace iocp;
using namespace iocp::handle_users;

namespace {

uint64_t buffer_bytes()
{
    struct event_iocp_stats stats;
    assert_int_equal(event_iocp_get_stats(base, &stats, sizeof(stats)), 0);
    return stats.receive_buffer_bytes;
}

void an_idle_one_has_no_buffer_or_a_small_one(void **)
{
    for (sys::transport by : kinds) {
        user one;
        open_user(&one, by);
        turns(3);
        assert_int_equal(fake::operations_in_flight(), 1);
        assert_int_equal(buffer_bytes(), sys::waits_without_buffer(by) ? 0 : cold_receive_size);
        free_user(&one);
    }
}

// To call one back would make no room: it needs its small buffer again.
void a_small_buffer_is_not_called_back(void **)
{
    for (sys::transport by : {sys::transport::messages, sys::transport::device}) {
        user quiet, busy;
        open_user(&quiet, by);
        turns(100);
        open_user(&busy, sys::transport::pipe);
        size_t *spent = &backend_of(base)->streams.budget.spent;
        *spent += receive_budget_bytes;
        uint64_t cancels = fake::calls(fake::call::cancel);
        fake::file_peer_writes(busy.file, "x");
        turns(3);
        assert_string_equal(busy.heard.c_str(), "x");
        assert_int_equal(fake::calls(fake::call::cancel), cancels);
        *spent -= receive_budget_bytes;
        free_user(&busy);
        free_user(&quiet);
    }
}

void bytes_come_and_then_the_end(void **)
{
    for (sys::transport by : kinds) {
        user one;
        open_user(&one, by);
        std::string all;
        for (size_t length : {1u, 5000u, 100u, 70000u}) {
            all += std::string(length, 'a');
            fake::file_peer_writes(one.file, std::string(length, 'a'));
            turns(3);
        }
        fake::file_peer_closes(one.file);
        turns(60);
        assert_true(one.heard == all);
        assert_int_equal(one.what, BEV_EVENT_EOF | BEV_EVENT_READING);
        free_user(&one);
    }
}

void each_of_three_statuses_is_an_end(void **)
{
    for (ULONG status : {0xC000014Bul, 0xC00000B0ul, 0xC0000011ul}) {
        user one;
        open_user(&one, sys::transport::pipe);
        fake::set_next_status(static_cast<nt_status>(status));
        fake::file_peer_writes(one.file, "");
        turns(3);
        assert_int_equal(one.what, BEV_EVENT_EOF | BEV_EVENT_READING);
        free_user(&one);
    }
}

void another_status_is_an_error_by_its_win32_code(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::set_next_status(static_cast<nt_status>(0xC0000022));
    fake::file_peer_writes(one.file, "");
    turns(3);
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_READING);
    assert_int_equal(one.error, ERROR_ACCESS_DENIED);
    free_user(&one);
}

// What the kernel had no memory for, it may have some for soon.
void one_that_ends_short_is_asked_again(void **)
{
    for (sys::transport by : kinds) {
        user one;
        open_user(&one, by);
        fake::set_next_status(fake::fate_shortage);
        fake::file_peer_writes(one.file, "");
        turns(30);
        fake::file_peer_writes(one.file, "after");
        turns(30);
        assert_int_equal(one.what, 0);
        assert_string_equal(one.heard.c_str(), "after");
        free_user(&one);
    }
}

void a_part_of_a_message_is_no_error(void **)
{
    user one;
    open_user(&one, sys::transport::messages);
    std::string message(cold_receive_size * 40, 'm');
    fake::file_peer_writes(one.file, message);
    fake::file_peer_writes(one.file, "next");
    turns(30);
    assert_true(one.heard == message + "next");
    assert_int_equal(one.what, 0);
    free_user(&one);
}

void nothing_is_no_end(void **)
{
    for (sys::transport by : kinds) {
        user one;
        open_user(&one, by);
        for (int i = 0; i < 5; ++i) {
            fake::file_peer_writes(one.file, "");
            turns(15);
        }
        fake::file_peer_writes(one.file, "something");
        turns(30);
        assert_int_equal(one.what, 0);
        assert_string_equal(one.heard.c_str(), "something");
        assert_true(fake::calls(fake::call::file_receive) < 60);
        free_user(&one);
    }
}

void an_empty_message_does_not_hold_up_the_next(void **)
{
    user one;
    open_user(&one, sys::transport::messages);
    turns(3);
    for (int i = 0; i < 5; ++i)
        fake::file_peer_writes(one.file, "");
    fake::file_peer_writes(one.file, "something");
    int64_t begun = fake::now_us();
    while (one.heard.empty() && fake::now_us() < begun + 1000000)
        event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(one.heard.c_str(), "something");
    assert_in_range(fake::now_us() - begun, 0, 1000);
    free_user(&one);
}

void a_quiet_device_is_not_asked_over_and_over(void **)
{
    user one;
    open_user(&one, sys::transport::device);
    uint64_t before = fake::calls(fake::call::file_receive);
    turns(100);
    assert_int_equal(fake::calls(fake::call::file_receive), before);
    free_user(&one);
}

// Of one that ends its reads at once, whatever it is told: a loop that sleeps asks it some hundred times a second.
void a_device_that_does_not_wait_is_asked_now_and_then(void **)
{
    user one;
    HANDLE file = fake::open_file(sys::transport::device);
    fake::refuse_time_outs(file);
    use_file(&one, file, BEV_OPT_CLOSE_ON_FREE);
    struct timeval second = {1, 0};
    event_base_loopexit(base, &second);
    event_base_dispatch(base);
    assert_in_range(fake::calls(fake::call::file_receive), 20, 220);
    fake::file_peer_writes(one.file, "at last");
    event_base_loopexit(base, &second);
    event_base_dispatch(base);
    assert_string_equal(one.heard.c_str(), "at last");
    assert_int_equal(one.what, 0);
    free_user(&one);
}

// As a serial port with fAbortOnError does after an error on the line.
void a_device_that_aborts_in_its_call_is_an_error(void **)
{
    user one;
    open_user(&one, sys::transport::device);
    fake::fail_calls(fake::call::file_receive, ERROR_OPERATION_ABORTED);
    fake::file_peer_writes(one.file, "before");
    turns(5);
    assert_string_equal(one.heard.c_str(), "before");
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_READING);
    assert_int_equal(one.error, ERROR_OPERATION_ABORTED);
    fake::file_peer_writes(one.file, "after");
    assert_int_equal(bufferevent_enable(one.bev, EV_READ), 0);
    turns(5);
    assert_string_equal(one.heard.c_str(), "beforeafter");
    free_user(&one);
}

void a_device_that_aborts_by_packets_is_asked_now_and_then(void **)
{
    user one;
    open_user(&one, sys::transport::device);
    uint64_t before = fake::calls(fake::call::file_receive);
    std::function<void()> abort = [&abort] {
        fake::end_starting_thread();
        fake::at(fake::now_us() + 100, abort);
    };
    abort();
    struct timeval second = {1, 0};
    event_base_loopexit(base, &second);
    event_base_dispatch(base);
    assert_in_range(fake::calls(fake::call::file_receive) - before, 20, 220);
    assert_int_equal(one.what, 0);
    abort = [] {};
    free_user(&one);
}

// A read that was to find bytes would wait: it is called back, and the next one waits as it should.
void bytes_that_somebody_else_has_taken(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::hold_packets(true);
    fake::file_peer_writes(one.file, "theirs");
    fake::another_reader_takes_all(one.file);
    fake::hold_packets(false);
    fake::release_all();
    turns(5);
    assert_string_equal(one.heard.c_str(), "");
    fake::file_peer_writes(one.file, "ours");
    turns(5);
    assert_string_equal(one.heard.c_str(), "ours");
    free_user(&one);
}

// A file has no reset that could tell its next reader: the log says that bytes are missing.
void no_memory_to_keep_what_was_read(void **)
{
    for (sys::transport kind : kinds)
        for (unsigned allowed = 0; allowed < 4; ++allowed) {
            user one;
            HANDLE file = fake::open_file(kind);
            use_file(&one, file, 0);
            fake::file_peer_writes(file, "read");
            turns(5);
            fake::file_peer_writes(file, "ahead");
            bufferevent_disable(one.bev, EV_READ);
            turns(3);
            forget_warnings();
            guard::fail_allocations(allowed, 1);
            bufferevent_free(one.bev);
            guard::fail_allocations(0, 0);
            use_file(&one, file, BEV_OPT_CLOSE_ON_FREE);
            fake::file_peer_writes(file, "after");
            turns(5);
            assert_string_equal(one.heard.c_str(), warnings().empty() ? "aheadafter" : "after");
            forget_warnings();
            free_user(&one);
        }
}

// The kernel has its time with the packet of a read that was called back.
void bytes_that_come_too_late(void **)
{
    user one;
    open_user(&one, sys::transport::device);
    turns(1);
    fake::hold_packets(true);
    fake::file_peer_writes(one.file, "never seen");
    bufferevent_setfd(one.bev, -1);
    fake::hold_packets(false);
    fake::release_all();
    forget_warnings();
    turns(1);
    assert_int_equal(warnings().size(), 1);
    assert_non_null(strstr(warnings()[0].c_str(), "10 bytes"));
    bufferevent_free(one.bev);
    fake::close_file_by_program(one.file);
}

void a_plain_event_is_refused(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe);
    struct counted *plain = count_events(base, reinterpret_cast<evutil_socket_t>(file), EV_READ);
    assert_int_equal(event_add(plain->registered, nullptr), -1);
    assert_int_equal(WSAGetLastError(), WSAENOTSOCK);
    free_counted(plain);
    fake::close_file_by_program(file);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_idle_one_has_no_buffer_or_a_small_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_small_buffer_is_not_called_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_come_and_then_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_of_three_statuses_is_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_status_is_an_error_by_its_win32_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_ends_short_is_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_of_a_message_is_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_no_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_message_does_not_hold_up_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quiet_device_is_not_asked_over_and_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_that_does_not_wait_is_asked_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_that_aborts_in_its_call_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_that_aborts_by_packets_is_asked_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_somebody_else_has_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_to_keep_what_was_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_come_too_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plain_event_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("handle", tests, nullptr, nullptr);
}
