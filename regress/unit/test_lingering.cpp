// Sockets that are closed with something in flight: what the kernel was handed is delivered, nothing is cancelled to
// get rid of it, the last packet closes the socket, and a peer that does not read holds it no longer than it may.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"
#include "support/strict_locks.h"
#include "support/stuck_sends.h"

#include "backend/backend.h"

#include "compat/http_slot.h"
#include "event2/iocp.h"

using namespace iocp;
using namespace iocp::stuck_sends;

namespace {

void what_was_handed_over_has_left_the_output(void **)
{
    stuck one = make_stuck(1000);
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(one.bev)), 0);
    assert_true(fake::is_inherited(one.socket));
    bufferevent_free(one.bev);
    turn(base);
    assert_true(fake::is_open(one.socket));
    assert_false(fake::is_inherited(one.socket)); // a child process would hold it open
    fake::set_send_room(one.socket, SIZE_MAX);
    assert_true(settles(one.socket));
    assert_int_equal(fake::last_closed().delivered.size(), 1000);
    assert_false(fake::last_closed().was_reset);
}

// The receive that it had in flight is cancelled, and its packet comes late, or never, as the loop ends. Its peer gets what
// it has not read yet, and the end.
void a_socket_is_closed_without_the_packet_of_its_receive(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    struct bufferevent *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(bev, EV_READ);
    bufferevent_write(bev, "unread", 6);
    turn_to_port(base);
    assert_int_equal(fake::operations_in_flight(), 1);
    fake::hold_packets(true);
    bufferevent_free(bev);
    turn(base);
    assert_int_equal(fake::calls(fake::call::cancel), 1);
    assert_false(fake::is_open(socket));
    assert_false(fake::last_closed().was_reset);
    assert_string_equal(fake::last_closed().delivered.c_str(), "unread");
    // The next one of its number has nothing to do with that packet.
    SOCKET next = fake::open_socket(fake::kind::stream);
    assert_int_equal(next, socket);
    fake::connect_now(next);
    bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(next), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(bev, EV_READ);
    bufferevent_write(bev, "next", 4);
    fake::hold_packets(false);
    fake::release_all();
    turn_to_port(base);
    assert_true(fake::is_open(next));
    bufferevent_free(bev);
    turn(base);
    assert_false(fake::is_open(next));
    assert_string_equal(fake::last_closed().delivered.c_str(), "next");
}

void a_peer_that_does_not_read_is_reset_after_the_limit(void **)
{
    set_limits(2000, SIZE_MAX);
    stuck one = make_stuck(1000);
    bufferevent_free(one.bev);
    int64_t closed_us = fake::now_us();
    assert_true(settles(one.socket, 50 * 1000));
    assert_true(fake::last_closed().was_reset);
    assert_true(fake::now_us() - closed_us >= 2000 * 1000);
    assert_true(fake::now_us() - closed_us < 2500 * 1000);
}

// SO_LINGER with a time of 0, by its program.
void one_that_is_to_be_reset_does_not_linger(void **)
{
    stuck one = make_stuck(1000);
    sys::reset_when_closed(one.socket);
    bufferevent_free(one.bev);
    for (int turns = 0; turns < 5; ++turns)
        turn_to_port(base);
    assert_false(fake::is_open(one.socket));
    assert_true(fake::last_closed().was_reset);
}

// SO_LINGER with a time: the close that its program has asked for by then would be refused, and nobody does it again.
void one_that_would_wait_is_closed(void **)
{
    stuck one = make_stuck(1000);
    fake::set_never_blocks(one.socket, true);
    fake::set_waits_when_closed(one.socket);
    bufferevent_free(one.bev);
    turn_to_port(base);
    fake::set_send_room(one.socket, SIZE_MAX);
    assert_true(settles(one.socket));
    assert_int_equal(fake::last_closed().delivered.size(), 1000);
    assert_false(fake::last_closed().was_reset);
}

void the_one_closed_first_is_reset_when_there_are_too_many_bytes(void **)
{
    set_limits(60000, 2500);
    stuck first = make_stuck(1000), second = make_stuck(1000), third = make_stuck(1000);
    bufferevent_free(first.bev);
    bufferevent_free(second.bev);
    turn(base);
    assert_int_equal(fake::calls(fake::call::cancel), 3 - 1); // the receives alone
    bufferevent_free(third.bev);
    for (int i = 0; i < 5; ++i)
        turn_to_port(base);
    assert_false(fake::is_open(first.socket));
    assert_true(fake::last_closed().was_reset);
    assert_true(fake::is_open(second.socket) && fake::is_open(third.socket));
    fake::set_send_room(second.socket, SIZE_MAX);
    fake::set_send_room(third.socket, SIZE_MAX);
    assert_true(settles(second.socket) && settles(third.socket));
    assert_false(fake::last_closed().was_reset);
}

// Two bufferevents, one after the other, have let go of the socket.
void all_sends_of_a_socket_count_and_are_reset_together(void **)
{
    set_limits(60000, 2500);
    stuck first = make_stuck(1000);
    bufferevent_setfd(first.bev, -1);
    auto fd = static_cast<evutil_socket_t>(first.socket);
    bufferevent_setfd(first.bev, fd);
    bufferevent_write(first.bev, std::string(1000, 'y').data(), 1000);
    turn(base);
    bufferevent_free(first.bev);
    turn(base);
    assert_int_equal(backend_of(base)->lingering.bytes, 2000);
    stuck second = make_stuck(400);
    bufferevent_free(second.bev);
    turn(base);
    assert_int_equal(backend_of(base)->lingering.bytes, 2400);
    stuck third = make_stuck(101);
    bufferevent_free(third.bev); // one byte too many
    turn(base);
    assert_int_equal(backend_of(base)->lingering.bytes, 501);
    assert_true(settles(first.socket));
    assert_true(fake::last_closed().was_reset);
    fake::set_send_room(second.socket, SIZE_MAX);
    fake::set_send_room(third.socket, SIZE_MAX);
    assert_true(settles(second.socket) && settles(third.socket));
    assert_false(fake::last_closed().was_reset);
    assert_int_equal(backend_of(base)->lingering.bytes, 0);
}

void a_lower_limit_holds_for_those_that_linger_already(void **)
{
    stuck one = make_stuck(1000);
    bufferevent_free(one.bev);
    turn(base);
    set_limits(60000, 999);
    assert_true(settles(one.socket));
    assert_true(fake::last_closed().was_reset);
}

void a_base_that_is_freed_waits_a_while_and_resets(void **)
{
    stuck one = make_stuck(1000);
    bufferevent_free(one.bev);
    int64_t freed_us = fake::now_us();
    event_base_free(base);
    assert_false(fake::is_open(one.socket));
    assert_true(fake::last_closed().was_reset);
    assert_true(fake::now_us() - freed_us >= lingering_at_free_us);
    assert_true(fake::now_us() - freed_us < 2 * lingering_at_free_us);
    base = make_base(on_iocp);
}

// What the program has taken back is neither closed nor reset.
void a_descriptor_taken_back_has_no_limit(void **)
{
    set_limits(100, 0);
    stuck one = make_stuck(1000);
    bufferevent_setfd(one.bev, -1);
    bufferevent_free(one.bev);
    for (int i = 0; i < 20; ++i) {
        fake::advance_us(50 * 1000);
        turn(base);
    }
    assert_true(fake::is_open(one.socket));
    fake::set_send_room(one.socket, SIZE_MAX);
    turn_to_port(base);
    assert_int_equal(fake::sent(one.socket).size(), 1000);
    assert_int_equal(evutil_closesocket(static_cast<evutil_socket_t>(one.socket)), 0);
    assert_false(fake::last_closed().was_reset);
}

// evhttp shuts down before it closes, and its bytes go first.
void a_shutdown_waits_for_what_is_on_its_way(void **)
{
    stuck one = make_stuck(1000);
    bufferevent_setfd(one.bev, -1);
    bufferevent_free(one.bev);
    assert_int_equal(iocp_http_shutdown(static_cast<evutil_socket_t>(one.socket), SD_SEND), 0);
    turn(base);
    fake::set_send_room(one.socket, SIZE_MAX);
    turn_to_port(base);
    assert_int_equal(fake::sent(one.socket).size(), 1000);
    assert_true(fake::sending_has_ended(one.socket));
    evutil_closesocket(static_cast<evutil_socket_t>(one.socket));
}

// Its program has closed the socket behind our back, and another has its number, which the bufferevent is given.
SOCKET give_the_next(const stuck &one)
{
    fake::close_by_program(one.socket);
    SOCKET next = fake::open_socket(fake::kind::stream);
    assert_int_equal(next, one.socket);
    fake::connect_now(next);
    bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(next));
    bufferevent_write(one.bev, "fresh", 5);
    return next;
}

void is_untouched(const stuck &one, SOCKET next)
{
    for (int i = 0; i < 5; ++i)
        turn_to_port(base);
    assert_string_equal(fake::sent(next).c_str(), "fresh");
    bufferevent_free(one.bev);
    assert_true(settles(next));
    assert_false(fake::last_closed().was_reset);
}

// A descriptor's next life has nothing of the one before.
void the_next_socket_of_the_number_is_untouched(void **)
{
    stuck one = make_stuck(1000);
    bufferevent_setfd(one.bev, -1);
    is_untouched(one, give_the_next(one));
}

// Closed while its bufferevent had it, whose send comes back when the number is another socket's: however that ended.
void a_send_of_the_socket_before_does_not_reset_the_next(void **)
{
    for (int round = 0; round < 16; ++round) {
        stuck one = make_stuck(1000);
        fake::hold_packets(true);
        SOCKET next = give_the_next(one);
        turn(base);
        fake::hold_packets(false);
        fake::release_all();
        is_untouched(one, next);
    }
}

void limits_out_of_bounds(void **)
{
    struct event_base *plain = make_base(on_select_unlocked);
    const struct timeval one_second = {1, 0}, too_long = {3601, 0}, negative = {-1, 0}, odd = {1, 1000000};
    const struct timeval *none = nullptr;
    assert_int_equal(event_base_iocp_set_lingering(plain, &one_second, 0), -1);
    assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
    assert_int_equal(event_base_iocp_set_lingering(nullptr, &one_second, 0), -1);
    assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
    event_base_free(plain);
    event_base_free(base);
    set_up(nullptr); // one on select leaves a block of libevent's own
    for (const struct timeval *wrong : {none, &too_long, &negative, &odd}) {
        assert_int_equal(event_base_iocp_set_lingering(base, wrong, 0), -1);
        assert_int_equal(WSAGetLastError(), WSAEINVAL);
    }
}

} // namespace

int main()
{
    strict_locks_start();
#define LINGERING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LINGERING_TEST(what_was_handed_over_has_left_the_output),
        LINGERING_TEST(a_socket_is_closed_without_the_packet_of_its_receive),
        LINGERING_TEST(a_peer_that_does_not_read_is_reset_after_the_limit),
        LINGERING_TEST(one_that_is_to_be_reset_does_not_linger),
        LINGERING_TEST(one_that_would_wait_is_closed),
        LINGERING_TEST(the_one_closed_first_is_reset_when_there_are_too_many_bytes),
        LINGERING_TEST(all_sends_of_a_socket_count_and_are_reset_together),
        LINGERING_TEST(a_lower_limit_holds_for_those_that_linger_already),
        LINGERING_TEST(a_base_that_is_freed_waits_a_while_and_resets),
        LINGERING_TEST(a_descriptor_taken_back_has_no_limit),
        LINGERING_TEST(a_shutdown_waits_for_what_is_on_its_way),
        LINGERING_TEST(the_next_socket_of_the_number_is_untouched),
        LINGERING_TEST(a_send_of_the_socket_before_does_not_reset_the_next),
        LINGERING_TEST(limits_out_of_bounds),
    };
    return cmocka_run_group_tests_name("lingering", tests, nullptr, nullptr);
}
