// Bytes that have left an output and are lost, on the fake kernel: the peer is told by a reset, and never takes a part for
// the whole.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/strict_locks.h"
#include "support/stuck_sends.h"

#include "backend/backend.h"
#include "bufferevent/stream_queue.h"

#include "compat/http_slot.h"

using namespace iocp;
using namespace iocp::stuck_sends;

namespace {

// The kernel has taken them from the output, and then fails: for want of memory, say. An orderly end would have the peer
// take what it got for all.
void bytes_that_are_lost_are_told_by_a_reset(void **)
{
    for (bool freed_first : {false, true}) {
        stuck one = make_stuck(1000);
        if (freed_first)
            bufferevent_free(one.bev);
        turn_to_port(base);
        fake::set_next_status(fake::fate_shortage);
        fake::set_send_room(one.socket, SIZE_MAX);
        turn_to_port(base);
        if (!freed_first)
            bufferevent_free(one.bev);
        assert_true(settles(one.socket));
        assert_true(fake::last_closed().was_reset);
    }
}

// What is left of a send that ended with a part cannot be started again.
void a_part_is_told_by_a_reset(void **)
{
    fake::chances ends_early = fake::no_chances;
    ends_early.sends_end_early = 1000;
    for (bool freed_first : {false, true}) {
        stuck one = make_stuck(1000);
        if (freed_first)
            bufferevent_free(one.bev);
        turn_to_port(base);
        fake::k().odds = ends_early;
        fake::set_send_room(one.socket, SIZE_MAX);
        fake::k().odds = fake::no_chances;
        assert_true(fake::sent(one.socket).size() < 1000);
        fake::fail_calls(fake::call::send, WSAENOBUFS);
        turn_to_port(base);
        if (!freed_first)
            bufferevent_free(one.bev);
        assert_true(settles(one.socket));
        assert_true(fake::last_closed().was_reset);
    }
}

// evhttp shuts down first. So it would be the end for its peer.
void what_has_lost_bytes_is_not_shut_down(void **)
{
    for (bool shut_first : {false, true}) {
        stuck one = make_stuck(1000);
        bufferevent_setfd(one.bev, -1);
        bufferevent_free(one.bev);
        auto fd = static_cast<evutil_socket_t>(one.socket);
        if (shut_first)
            assert_int_equal(iocp_http_shutdown(fd, SD_SEND), 0);
        fake::set_next_status(fake::fate_shortage);
        fake::set_send_room(one.socket, SIZE_MAX);
        turn_to_port(base);
        if (!shut_first)
            assert_int_equal(iocp_http_shutdown(fd, SD_SEND), 0);
        assert_false(fake::sending_has_ended(one.socket));
        evutil_closesocket(fd);
        assert_false(fake::is_open(one.socket));
        assert_true(fake::last_closed().was_reset);
    }
}

// The socket that lost them is closed past the library. The next one of its number has lost nothing.
void who_has_the_number_next_is_not_reset(void **)
{
    for (bool shut_first : {false, true}) {
        stuck one = make_stuck(1000);
        turn_to_port(base);
        fake::set_next_status(fake::fate_shortage);
        fake::set_send_room(one.socket, SIZE_MAX);
        turn_to_port(base);
        bufferevent_setfd(one.bev, -1);
        bufferevent_free(one.bev);
        turn_to_port(base);
        auto fd = static_cast<evutil_socket_t>(one.socket);
        assert_true(socket_find(backend_of(base), fd)->resets);
        fake::close_by_program(one.socket);
        SOCKET next = fake::open_socket(fake::kind::stream);
        assert_int_equal(next, one.socket);
        fake::connect_now(next);
        if (shut_first)
            iocp_http_shutdown(fd, SD_SEND);
        assert_int_equal(fake::sending_has_ended(next), shut_first);
        evutil_closesocket(fd);
        assert_true(settles(next));
        assert_false(fake::last_closed().was_reset);
        assert_false(socket_find(backend_of(base), fd)->bound);
    }
}

// Its peer has gone.
void who_was_reset_is_not_reset_back(void **)
{
    constexpr auto connection_reset = static_cast<nt_status>(0xC000020D);
    stuck one = make_stuck(1000);
    turn_to_port(base);
    fake::set_next_status(connection_reset);
    fake::set_send_room(one.socket, SIZE_MAX);
    turn_to_port(base);
    bufferevent_free(one.bev);
    assert_true(settles(one.socket));
    assert_false(fake::last_closed().was_reset);
}

// What OpenSSL has handed over it thinks sent. (A program that shuts its socket down behind it says itself that no more
// comes.)
void tls_puts_and_fails(int error, bool is_reset)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    int holder;
    stream *self = stream_attach(backend_of(base), static_cast<evutil_socket_t>(socket), &holder, false);
    base->running_loop = 1;
    assert_int_equal(stream_put(self, "record", 6), 6);
    fake::fail_calls(fake::call::send, error);
    assert_int_equal(stream_flush(self), -1);
    base->running_loop = 0;
    evutil_closesocket(static_cast<evutil_socket_t>(socket));
    assert_true(settles(socket));
    assert_int_equal(fake::last_closed().was_reset, is_reset);
}

void what_tls_has_put_is_told_by_a_reset(void **)
{
    tls_puts_and_fails(WSAECONNABORTED, true);
    tls_puts_and_fails(WSAESHUTDOWN, false);
}

// The cancel comes too late for the send in flight, and what TLS had to send after it is not begun: no limit would hold it.
void nothing_is_sent_past_the_limit(void **)
{
    set_limits(2000, SIZE_MAX);
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    fake::set_send_room(socket, 0);
    int holder;
    stream *self = stream_attach(backend_of(base), static_cast<evutil_socket_t>(socket), &holder, false);
    base->running_loop = 1;
    assert_int_equal(stream_put(self, "one", 3), 3);
    assert_int_equal(stream_flush(self), 0);
    assert_int_equal(stream_put(self, "two", 3), 3);
    base->running_loop = 0;
    evutil_closesocket(static_cast<evutil_socket_t>(socket));
    fake::set_cancel_way(fake::cancel_way::loses);
    assert_true(settles(socket, 50 * 1000));
    assert_true(fake::last_closed().was_reset);
    assert_string_equal(fake::last_closed().sent.c_str(), "one");
}

} // namespace

int main()
{
    strict_locks_start();
#define LOST_BYTES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LOST_BYTES_TEST(bytes_that_are_lost_are_told_by_a_reset), LOST_BYTES_TEST(a_part_is_told_by_a_reset),
        LOST_BYTES_TEST(what_has_lost_bytes_is_not_shut_down),    LOST_BYTES_TEST(what_tls_has_put_is_told_by_a_reset),
        LOST_BYTES_TEST(nothing_is_sent_past_the_limit),          LOST_BYTES_TEST(who_has_the_number_next_is_not_reset),
        LOST_BYTES_TEST(who_was_reset_is_not_reset_back),
    };
    return cmocka_run_group_tests_name("lost bytes", tests, nullptr, nullptr);
}
