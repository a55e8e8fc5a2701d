// From whom a file comes and to whom it goes, on the fake kernel: what is refused, what a free, another descriptor and
// evutil_closesocket do to it.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_file.h"
#include "support/guard.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

constexpr int max_turns = 400;

struct event_base *base;
std::string heard;
short told;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    heard.clear();
    told = 0;
    return 0;
}

int tear_down(void **)
{
    event_base_free(base);
    return check_nothing_is_left();
}

void on_read(struct bufferevent *bev, void *)
{
    char bytes[4096];
    while (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)))
        heard.append(bytes, got);
}

void on_event(struct bufferevent *, short what, void *)
{
    told = static_cast<short>(told | what);
}

void turns(int count, int64_t step_us = 1000)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(step_us);
        turn(base);
    }
}

struct bufferevent *open_on(HANDLE file, int options = BEV_OPT_CLOSE_ON_FREE)
{
    struct bufferevent *bev = bufferevent_iocp_handle_new(base, file, options);
    assert_non_null(bev);
    bufferevent_setcb(bev, on_read, nullptr, on_event, nullptr);
    assert_int_equal(bufferevent_enable(bev, EV_READ | EV_WRITE), 0);
    turns(2);
    return bev;
}

void say(struct bufferevent *bev, const std::string &bytes)
{
    bufferevent_write(bev, bytes.data(), bytes.size());
    turns(2);
}

bool gets_closed(HANDLE file, int64_t step_us = 1000)
{
    for (int i = 0; i < max_turns && fake::file_is_open(file); ++i)
        turns(1, step_us);
    return !fake::file_is_open(file);
}

void check_refused(struct event_base *whose, HANDLE file, int error)
{
    WSASetLastError(0);
    assert_null(bufferevent_iocp_handle_new(whose, file, BEV_OPT_CLOSE_ON_FREE));
    assert_int_equal(WSAGetLastError(), error);
    turns(2);
}

void what_cannot_be_is_refused(void **)
{
    struct event_base *on_select = make_base(on_select_unlocked);
    HANDLE file = fake::open_file(sys::transport::pipe);
    check_refused(nullptr, file, WSAEOPNOTSUPP);
    check_refused(on_select, file, WSAEOPNOTSUPP);
    check_refused(base, nullptr, ERROR_INVALID_HANDLE);
    for (long error : {ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED, long{WSAESOCKTNOSUPPORT}}) {
        HANDLE odd = fake::open_file(sys::transport::pipe, static_cast<int>(error));
        check_refused(base, odd, static_cast<int>(error));
        assert_false(fake::file_is_on_port(odd));
        fake::close_file_by_program(odd);
    }
    assert_null(bufferevent_iocp_handle_new(base, file, BEV_OPT_UNLOCK_CALLBACKS));
    assert_int_equal(WSAGetLastError(), WSAEINVAL);
    assert_true(fake::file_is_open(file));
    fake::close_file_by_program(file);
    event_base_free(on_select);
}

void one_of_another_port_is_refused(void **)
{
    struct event_base *other = make_base(on_iocp);
    HANDLE file = fake::open_file(sys::transport::pipe);
    struct bufferevent *bev = bufferevent_iocp_handle_new(other, file, 0);
    check_refused(base, file, ERROR_INVALID_PARAMETER);
    bufferevent_free(bev);
    turn(other);
    bev = open_on(file); // it has left that port
    bufferevent_free(bev);
    assert_true(gets_closed(file));
    event_base_free(other);
}

void it_has_one_bufferevent_at_a_time(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe);
    struct bufferevent *bev = open_on(file);
    check_refused(base, file, WSAEALREADY);
    fake::file_peer_writes(file, "for the first");
    turns(4);
    assert_string_equal(heard.c_str(), "for the first");
    bufferevent_free(bev);
    assert_true(gets_closed(file));
}

void without_memory_nothing_is_left(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe);
    bool made = false;
    for (unsigned after = 0; after < 60 && !made; ++after) {
        guard::fail_allocations(after, 1);
        struct bufferevent *bev = bufferevent_iocp_handle_new(base, file, BEV_OPT_CLOSE_ON_FREE);
        guard::fail_allocations(0, 0);
        made = bev != nullptr;
        if (bev != nullptr)
            bufferevent_free(bev);
        else
            assert_int_equal(WSAGetLastError(), WSAENOBUFS);
        if (bev == nullptr)
            assert_true(fake::file_is_open(file) && !fake::file_is_on_port(file));
        turns(3);
    }
    assert_true(made);
    assert_true(gets_closed(file));
}

// The pipe has room for a part. The rest is sent when the peer reads, and the handle is closed then.
void what_is_in_flight_goes_to_its_end(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe);
    fake::set_file_room(file, 100);
    struct bufferevent *bev = open_on(file);
    say(bev, std::string(1000, 'x'));
    bufferevent_free(bev);
    turns(20);
    assert_true(fake::file_is_open(file));
    assert_int_equal(fake::file_peer_reads(file).size(), 1000);
    assert_true(gets_closed(file));
}

// It is cancelled once, and nothing is sent again: the peer has a part.
void a_peer_that_does_not_read_holds_it_no_longer_than_it_may(void **)
{
    struct timeval limit = {2, 0};
    assert_int_equal(event_base_iocp_set_lingering(base, &limit, 1 << 20), 0);
    HANDLE file = fake::open_file(sys::transport::pipe);
    fake::set_file_room(file, 100);
    struct bufferevent *bev = open_on(file);
    say(bev, std::string(1000, 'x'));
    bufferevent_free(bev);
    int64_t from_us = fake::now_us();
    assert_true(gets_closed(file, 50 * 1000));
    assert_in_range(fake::now_us() - from_us, 2000 * 1000, 2500 * 1000);
    assert_int_equal(fake::file_peer_reads(file).size(), 100);
}

// Cancelled, and its packet late; or it was quicker.
void a_read_in_flight_is_waited_for(void **)
{
    for (sys::transport by : {sys::transport::pipe, sys::transport::messages, sys::transport::device})
        for (fake::cancel_way way : {fake::cancel_way::wins, fake::cancel_way::loses}) {
            HANDLE file = fake::open_file(by);
            struct bufferevent *bev = open_on(file);
            fake::set_cancel_way(way);
            fake::hold_packets(true);
            bufferevent_free(bev);
            turns(5);
            assert_true(fake::file_is_open(file));
            fake::hold_packets(false);
            fake::release_all();
            assert_true(gets_closed(file));
        }
}

void a_base_is_freed_with_all_in_flight(void **)
{
    HANDLE file = fake::open_file(sys::transport::messages);
    fake::set_file_room(file, 10);
    struct bufferevent *bev = open_on(file);
    say(bev, "more than ten bytes");
    bufferevent_free(bev);
    event_base_free(base);
    assert_false(fake::file_is_open(file));
    assert_null(fake::complaint_after_free());
    base = make_base(on_iocp);
}

void it_is_its_programs_again(void **)
{
    for (int error : {0, int{ERROR_CALL_NOT_IMPLEMENTED}}) {
        fake::fail_calls(fake::call::leave_port, error, error != 0 ? 3 : 0);
        HANDLE file = fake::open_file(sys::transport::pipe);
        struct bufferevent *bev = open_on(file, 0);
        fake::file_peer_writes(file, "one");
        turns(4);
        fake::file_peer_writes(file, "two"); // nobody has asked for that yet
        bufferevent_free(bev);
        turns(3);
        assert_int_equal(fake::operations_in_flight(), 0);
        assert_int_equal(fake::file_is_on_port(file), error != 0);
        assert_string_equal(heard.c_str(), "one");
        bev = open_on(file);
        turns(4);
        assert_string_equal(heard.c_str(), "onetwo");
        bufferevent_free(bev);
        assert_true(gets_closed(file));
        fake::fail_calls(fake::call::leave_port, 0, 0);
        heard.clear();
    }
}

// A message that was read, and that its bufferevent was not told of, is for the next one.
void what_was_read_ahead_is_for_the_next(void **)
{
    HANDLE file = fake::open_file(sys::transport::messages);
    struct bufferevent *bev = open_on(file, 0);
    fake::file_peer_writes(file, "read ahead");
    bufferevent_free(bev);
    turns(3);
    assert_string_equal(heard.c_str(), "");
    bev = open_on(file);
    turns(3);
    assert_string_equal(heard.c_str(), "read ahead");
    bufferevent_free(bev);
    assert_true(gets_closed(file));
}

// It could leave the port when it was given back, or never: its program closes it in ways that nobody sees.
void it_stays_on_the_port_if_it_was_in_use(void **)
{
    struct event_base *other = make_base(on_iocp);
    for (bool writes : {true, false}) {
        HANDLE file = fake::open_file(writes ? sys::transport::pipe : sys::transport::messages);
        struct bufferevent *bev = open_on(file, 0);
        fake::set_file_room(file, 10);
        if (writes)
            say(bev, "more than ten bytes");
        else
            fake::file_peer_writes(file, "read ahead");
        bufferevent_free(bev);
        check_refused(other, file, ERROR_INVALID_PARAMETER);
        fake::file_peer_reads(file);
        turns(5);
        assert_int_equal(fake::operations_in_flight(), 0);
        check_refused(other, file, ERROR_INVALID_PARAMETER);
        bev = open_on(file); // its own base has it
        turns(3);
        assert_string_equal(heard.c_str(), writes ? "" : "read ahead");
        bufferevent_free(bev);
        assert_true(gets_closed(file));
    }
    event_base_free(other);
}

// Who has it back, or from a listener, may wait for the handle itself.
void its_operations_signal_it(void **)
{
    for (sys::transport by : {sys::transport::pipe, sys::transport::messages, sys::transport::device}) {
        HANDLE file = fake::open_file(by);
        struct bufferevent *bev = open_on(file);
        assert_int_equal(fake::file_skips_packets(file), by != sys::transport::messages);
        assert_false(fake::file_signals_no_end(file));
        bufferevent_free(bev);
        assert_true(gets_closed(file));
    }
}

void evutil_closesocket_closes_it(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe);
    struct bufferevent *bev = open_on(file);
    say(bev, "goodbye");
    assert_int_equal(evutil_closesocket(reinterpret_cast<evutil_socket_t>(file)), 0);
    assert_true(gets_closed(file));
    assert_string_equal(fake::file_peer_reads(file).c_str(), "goodbye");
    bufferevent_setfd(bev, -1);
    bufferevent_free(bev);
    HANDLE another = fake::open_file(sys::transport::pipe); // of nobody: no socket
    assert_int_equal(evutil_closesocket(reinterpret_cast<evutil_socket_t>(another)), -1);
    assert_int_equal(WSAGetLastError(), WSAENOTSOCK);
    fake::close_file_by_program(another);
}

void it_can_be_given_another(void **)
{
    HANDLE first = fake::open_file(sys::transport::pipe), second = fake::open_file(sys::transport::messages);
    HANDLE odd = fake::open_file(sys::transport::pipe, ERROR_NOT_SUPPORTED);
    struct bufferevent *bev = open_on(INVALID_HANDLE_VALUE);
    assert_int_equal(bufferevent_getfd(bev), -1);
    for (HANDLE file : {first, second, second}) {
        assert_int_equal(bufferevent_setfd(bev, reinterpret_cast<evutil_socket_t>(file)), 0);
        assert_ptr_equal(reinterpret_cast<HANDLE>(bufferevent_getfd(bev)), file);
        assert_int_equal(bufferevent_setfd(bev, reinterpret_cast<evutil_socket_t>(odd)), -1);
        assert_int_equal(WSAGetLastError(), ERROR_NOT_SUPPORTED);
        heard.clear();
        fake::file_peer_writes(file, "bytes");
        turns(5);
        assert_string_equal(heard.c_str(), "bytes");
        assert_false(fake::file_is_on_port(odd));
    }
    assert_false(fake::file_is_on_port(first));
    assert_int_equal(bufferevent_setfd(bev, -1), 0);
    turns(2);
    assert_true(fake::file_is_open(second));
    bufferevent_free(bev);
    turns(2);
    for (HANDLE file : {first, second, odd})
        fake::close_file_by_program(file);
}

void it_does_not_connect(void **)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    HANDLE file = fake::open_file(sys::transport::pipe);
    struct bufferevent *bevs[] = {open_on(file), open_on(INVALID_HANDLE_VALUE)};
    for (struct bufferevent *bev : bevs) {
        evutil_socket_t before = bufferevent_getfd(bev);
        WSASetLastError(0);
        assert_int_equal(
            bufferevent_socket_connect(bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)), -1);
        if (before != -1) // else libevent has made a socket, which the fake kernel cannot close
            assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
        assert_int_equal(bufferevent_getfd(bev), before);
        assert_int_equal(bufferevent_base_set(base, bev), -1);
    }
    assert_int_equal(fake::sockets_open(), 0);
    fake::file_peer_writes(file, "still there");
    turns(4);
    assert_string_equal(heard.c_str(), "still there");
    for (struct bufferevent *bev : bevs)
        bufferevent_free(bev);
    assert_true(gets_closed(file));
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_of_another_port_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_has_one_bufferevent_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_flight_goes_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_does_not_read_holds_it_no_longer_than_it_may, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_in_flight_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_is_freed_with_all_in_flight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_its_programs_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_read_ahead_is_for_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_stays_on_the_port_if_it_was_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_operations_signal_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evutil_closesocket_closes_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_can_be_given_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_does_not_connect, set_up, tear_down),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data); // libevent makes a socket before it connects
    fake::boot(1);
    catch_log();
    event_base_free(make_base(on_select_unlocked)); // a base on select makes libevent keep something, once
    return cmocka_run_group_tests_name("handle_life", tests, nullptr, nullptr);
}
