// A bufferevent that connects to a pipe, on the fake kernel.
#include "support/check.h"

#include <functional>

#include "support/fake_file.h"
#include "support/fake_kernel.h"
#include "support/guard.h"
#include "support/listening_pipe.h"
#include "support/strict_locks.h"

using namespace iocp;
using namespace iocp::listening_pipe;

namespace {

struct attempt {
    struct bufferevent *bev;
    short what;
    int error;
    int told;
    int writes;
    std::function<void()> when_told;
};

attempt one;

void on_event(struct bufferevent *, short what, void *)
{
    one.what = what;
    one.error = EVUTIL_SOCKET_ERROR();
    ++one.told;
    if (one.when_told)
        one.when_told();
}

void on_write(struct bufferevent *, void *)
{
    ++one.writes;
}

void connect(const struct timeval *patience = nullptr, int options = BEV_OPT_CLOSE_ON_FREE)
{
    one = attempt();
    one.bev = start_connect(patience, options);
    if (one.bev != nullptr)
        bufferevent_setcb(one.bev, nullptr, on_write, on_event, nullptr);
}

void let_go()
{
    if (one.bev != nullptr)
        bufferevent_free(one.bev);
    one.bev = nullptr;
}

void finish()
{
    let_go();
    end();
}

HANDLE handle_of(struct bufferevent *bev)
{
    return reinterpret_cast<HANDLE>(bufferevent_getfd(bev));
}

void connected(void **)
{
    for (int options : {0, int{BEV_OPT_DEFER_CALLBACKS}}) {
        begin();
        fake::take_pipe_name(path);
        connect(nullptr, options | BEV_OPT_CLOSE_ON_FREE);
        assert_int_equal(fake::calls(fake::call::pipe_open), 0);
        bufferevent_write(one.bev, "before", 6);
        bufferevent_enable(one.bev, EV_READ);
        assert_int_equal(one.told, 0);
        turns(2);
        assert_int_equal(one.told, 1);
        assert_int_equal(one.what, BEV_EVENT_CONNECTED);
        bufferevent_write(one.bev, ", after", 7);
        turns(2);
        HANDLE handle = handle_of(one.bev);
        assert_string_equal(fake::file_peer_reads(handle).c_str(), "before, after");
        fake::file_peer_writes(handle, "answer");
        turns(2);
        assert_int_equal(evbuffer_get_length(bufferevent_get_input(one.bev)), 6);
        fake::file_peer_closes(handle);
        turns(2);
        assert_int_equal(one.what, BEV_EVENT_EOF | BEV_EVENT_READING);
        let_go();
        turns(1);
        assert_false(fake::file_is_open(handle));
        finish();
    }
}

// As a socket's connect: of nothing that was written nobody is told.
void what_was_written_is_told_of(void **)
{
    for (int options : {0, int{BEV_OPT_DEFER_CALLBACKS}})
        for (bool writes : {false, true}) {
            begin();
            fake::take_pipe_name(path);
            connect(nullptr, options | BEV_OPT_CLOSE_ON_FREE);
            if (writes)
                bufferevent_write(one.bev, "before", 6);
            turns(5);
            assert_int_equal(one.what, BEV_EVENT_CONNECTED);
            assert_int_equal(one.writes, writes ? 1 : 0);
            assert_int_equal(bufferevent_get_enabled(one.bev), EV_WRITE);
            bufferevent_write(one.bev, "after", 5);
            turns(5);
            assert_int_equal(one.writes, writes ? 2 : 1);
            finish();
        }
}

void connect_to_address()
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    assert_int_equal(
        bufferevent_socket_connect(one.bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)), -1);
}

// Before the first try, between two, and when it is connected.
void no_connect_by_address_meanwhile(void **)
{
    for (int moment = 0; moment < 3; ++moment) {
        begin();
        fake::take_pipe_name(path);
        fake::fail_calls(fake::call::pipe_open, ERROR_PIPE_BUSY, moment == 1 ? 10 : 0);
        connect();
        turns(moment);
        assert_int_equal(one.told, moment == 2);
        connect_to_address();
        for (int i = 0; i < 30 && one.told == 0; ++i)
            turns(1);
        assert_int_equal(one.what, BEV_EVENT_CONNECTED);
        bufferevent_write(one.bev, "there", 5);
        turns(2);
        assert_string_equal(fake::file_peer_reads(handle_of(one.bev)).c_str(), "there");
        assert_int_equal(one.told, 1);
        finish();
    }
}

void told_of_error(int expected)
{
    assert_int_equal(one.told, 1);
    assert_int_equal(one.what, BEV_EVENT_ERROR);
    assert_int_equal(one.error, expected);
    assert_int_equal(bufferevent_getfd(one.bev), -1);
}

void refused_by_the_kernel(void **)
{
    for (int options : {int{BEV_OPT_CLOSE_ON_FREE}, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS}) {
        begin();
        connect(nullptr, options);
        turns(2);
        told_of_error(ERROR_FILE_NOT_FOUND);
        finish();
        begin();
        fake::take_pipe_name(path);
        fake::fail_calls(fake::call::pipe_open, ERROR_ACCESS_DENIED, 3); // to read, to write, or both
        connect(nullptr, options);
        turns(2);
        told_of_error(ERROR_ACCESS_DENIED);
        finish();
        // It is open, and cannot be on the port.
        begin();
        fake::take_pipe_name(path);
        fake::fail_calls(fake::call::port_associate, ERROR_NOT_ENOUGH_MEMORY);
        connect(nullptr, options);
        turns(2);
        told_of_error(ERROR_NOT_ENOUGH_MEMORY);
        finish();
    }
}

void is_busy(unsigned times)
{
    fake::take_pipe_name(path);
    fake::fail_calls(fake::call::pipe_open, ERROR_PIPE_BUSY, times);
}

void busy_for_a_while(void **)
{
    begin();
    is_busy(10);
    connect();
    bufferevent_write(one.bev, "kept", 4);
    for (int i = 0; i < 30 && one.told == 0; ++i)
        turns(1);
    assert_int_equal(one.what, BEV_EVENT_CONNECTED);
    assert_int_equal(fake::calls(fake::call::pipe_open), 11);
    turns(1);
    assert_string_equal(fake::file_peer_reads(handle_of(one.bev)).c_str(), "kept");
    finish();
}

void out_of_patience(const struct timeval *patience, int64_t expected_us, uint64_t most_tries)
{
    begin();
    is_busy(1000000);
    int64_t started = fake::now_us();
    connect(patience);
    for (int i = 0; i < 1000 && one.told == 0; ++i)
        turns(1);
    told_of_error(WSAETIMEDOUT);
    assert_in_range(fake::now_us() - started, expected_us, expected_us + 30 * 1000);
    assert_in_range(fake::calls(fake::call::pipe_open), 1, most_tries);
    turns(100);
    assert_int_equal(one.told, 1);
    finish();
}

void busy_for_too_long(void **)
{
    struct timeval none = {0, 0}, some = {0, 300 * 1000};
    out_of_patience(nullptr, 5 * 1000 * 1000, 200);
    out_of_patience(&some, 300 * 1000, 20);
    out_of_patience(&none, 0, 1);
}

void given_up_at(int moment, bool by_setfd, bool base_runs)
{
    begin();
    is_busy(moment == 1 ? 1000000 : 0);
    connect();
    bufferevent_write(one.bev, "lost", 4);
    if (moment >= 1)
        turns(moment);
    HANDLE other = fake::open_file(sys::transport::pipe);
    if (by_setfd) {
        assert_int_equal(bufferevent_setfd(one.bev, 0), -1); // no handle: it goes on
        assert_int_equal(bufferevent_setfd(one.bev, reinterpret_cast<evutil_socket_t>(other)), 0);
        turns(3);
        assert_string_equal(fake::file_peer_reads(other).c_str(), moment == 2 ? "" : "lost");
        let_go();
    } else {
        sys::close_handle(other);
    }
    int told = one.told;
    let_go();
    if (base_runs)
        turns(100);
    assert_int_equal(one.told, told);
    assert_int_equal(told, moment == 2);
    end();
}

// Before the first try, between two, and when it is connected.
void given_up(void **)
{
    for (int moment = 0; moment < 3; ++moment)
        for (bool base_runs : {true, false}) {
            given_up_at(moment, false, base_runs);
            if (moment != 2)
                given_up_at(moment, true, base_runs);
        }
}

void freed_by_its_callback(void **)
{
    for (bool is_there : {true, false}) {
        begin();
        if (is_there)
            fake::take_pipe_name(path);
        connect();
        bufferevent_write(one.bev, "lost", 4);
        one.when_told = let_go;
        turns(3);
        assert_int_equal(one.told, 1);
        finish();
    }
}

// By its callback, the second time to somebody who is there.
void tried_again(void **)
{
    begin();
    connect();
    bufferevent_write(one.bev, "kept", 4);
    one.when_told = [] {
        if (one.told > 1)
            return;
        told_of_error(ERROR_FILE_NOT_FOUND);
        fake::take_pipe_name(path);
        assert_int_equal(bufferevent_iocp_pipe_connect(one.bev, name, nullptr), 0);
    };
    turns(3);
    assert_int_equal(one.told, 2);
    assert_int_equal(one.what, BEV_EVENT_CONNECTED);
    assert_string_equal(fake::file_peer_reads(handle_of(one.bev)).c_str(), "kept");
    finish();
}

void refused_at_once(struct bufferevent *bev, const char *called, const struct timeval *patience, int error)
{
    WSASetLastError(0);
    assert_int_equal(bufferevent_iocp_pipe_connect(bev, called, patience), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
}

void bad_input(void **)
{
    struct timeval negative = {-1, 0}, too_many = {0, 1000000};
    begin();
    struct bufferevent *bev = bufferevent_iocp_handle_new(the.base, INVALID_HANDLE_VALUE, BEV_OPT_CLOSE_ON_FREE);
    refused_at_once(bev, "name", nullptr, ERROR_INVALID_NAME);
    refused_at_once(bev, R"(\\server\pipe\name)", nullptr, ERROR_INVALID_NAME);
    refused_at_once(bev, "\\\\.\\pipe\\\xff", nullptr, ERROR_NO_UNICODE_TRANSLATION);
    refused_at_once(bev, name, &negative, WSAEINVAL);
    refused_at_once(bev, name, &too_many, WSAEINVAL);
    fake::take_pipe_name(path);
    assert_int_equal(bufferevent_iocp_pipe_connect(bev, name, nullptr), 0);
    refused_at_once(bev, name, nullptr, WSAEALREADY);
    turns(2);
    refused_at_once(bev, name, nullptr, WSAEISCONN);
    bufferevent_free(bev);
    struct bufferevent *of_socket = bufferevent_socket_new(the.base, -1, BEV_OPT_CLOSE_ON_FREE);
    refused_at_once(of_socket, name, nullptr, WSAEOPNOTSUPP);
    bufferevent_free(of_socket);
    finish();
}

void no_memory(void **)
{
    for (unsigned after = 0;; ++after) {
        begin();
        fake::take_pipe_name(path);
        unsigned failed = guard::failed_allocations();
        guard::fail_allocations(after, 1);
        connect();
        if (one.bev == nullptr)
            assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAENOBUFS);
        turns(3);
        bool any = guard::failed_allocations() != failed;
        guard::fail_allocations(0, 0);
        assert_int_equal(one.told, one.bev != nullptr);
        finish();
        if (!any)
            break;
    }
}

// The pause between two tries cannot be timed.
void no_memory_to_wait(void **)
{
    begin();
    is_busy(1000000);
    connect();
    guard::fail_allocations(0, 1000000);
    turns(2);
    guard::fail_allocations(0, 0);
    told_of_error(WSAENOBUFS);
    finish();
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(connected, set_up_kernel),
        cmocka_unit_test_setup(what_was_written_is_told_of, set_up_kernel),
        cmocka_unit_test_setup(no_connect_by_address_meanwhile, set_up_kernel),
        cmocka_unit_test_setup(refused_by_the_kernel, set_up_kernel),
        cmocka_unit_test_setup(busy_for_a_while, set_up_kernel),
        cmocka_unit_test_setup(busy_for_too_long, set_up_kernel),
        cmocka_unit_test_setup(given_up, set_up_kernel),
        cmocka_unit_test_setup(freed_by_its_callback, set_up_kernel),
        cmocka_unit_test_setup(tried_again, set_up_kernel),
        cmocka_unit_test_setup(bad_input, set_up_kernel),
        cmocka_unit_test_setup(no_memory, set_up_kernel),
        cmocka_unit_test_setup(no_memory_to_wait, set_up_kernel),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data); // libevent makes a socket before it connects
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
