// A connected descriptor that has moved to another base comes back, or is closed there, on the fake kernel: the base
// whose port it could not leave is asked as before, or knows that its socket is gone.
#include "support/check.h"

#include "support/fake_kernel.h"
#include "support/moved_socket.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

// It is on its base's port, and its base is asked when it is closed.
void free_with_a_send_in_flight(struct bufferevent *bev, struct event_base *whose, SOCKET socket)
{
    fake::set_send_room(socket, 0);
    bufferevent_write(bev, "last", 4);
    turns(whose, 2);
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(bev)), 0);
    bufferevent_free(bev);
    turns(whose, 2);
    check_closed_when_sent(whose, socket, "last");
}

// The second gives it back unread, and the first has it again.
void there_and_back(void **)
{
    for (bool leaves : {true, false}) {
        heard.clear();
        SOCKET socket = taken_from_the_first();
        if (!leaves)
            fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
        struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_setfd(bev, -1);
        bufferevent_free(bev);
        turns(second, 3);
        bev = on(first, socket, BEV_OPT_CLOSE_ON_FREE);
        fake::peer_sends(socket, "new");
        turns(first, 10);
        assert_string_equal(heard.c_str(), "keptnew");
        free_with_a_send_in_flight(bev, first, socket);
        fake::fail_calls(fake::call::leave_port, 0, 0);
    }
}

// The second reads it first, and keeps nothing any more when it comes back.
void there_and_back_after_a_read(void **)
{
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
    SOCKET socket = taken_from_the_first();
    struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
    turns(second, 5);
    assert_string_equal(heard.c_str(), "kept");
    bufferevent_setfd(bev, -1);
    bufferevent_free(bev);
    turns(second, 3);
    bev = on(first, socket, BEV_OPT_CLOSE_ON_FREE);
    turns(first, 3);
    free_with_a_send_in_flight(bev, first, socket);
}

SOCKET connected_again(SOCKET closed)
{
    assert_false(fake::is_open(closed));
    SOCKET again = fake::open_socket(fake::kind::stream);
    assert_int_equal(again, closed);
    fake::connect_now(again);
    return again;
}

// The second closes it, whether it has read the bytes or not: the next socket of that number is on the second's port,
// and what the first knew of its own is over.
void closed_by_the_second_and_the_number_comes_back(void **)
{
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
    for (bool reads : {true, false}) {
        heard.clear();
        SOCKET socket = taken_from_the_first();
        struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
        if (reads)
            turns(second, 5);
        bufferevent_free(bev);
        turns(second, 2);
        heard.clear();
        SOCKET again = connected_again(socket);
        bev = on(second, again, BEV_OPT_CLOSE_ON_FREE);
        turns(second, 3);
        bufferevent_setfd(bev, -1);
        bufferevent_free(bev);
        turns(second, 3);
        bev = on(first, again, BEV_OPT_CLOSE_ON_FREE);
        turns(first, 3); // a receive in flight would end by a packet
        fake::peer_sends(again, "heard");
        turns(first, 10);
        assert_string_equal(heard.c_str(), "heard");
        bufferevent_free(bev);
        turns(first, 2);
        assert_false(fake::is_open(again));
    }
}

// Its program has closed a socket that the first had a send on, and the number is on the second's port: the close of
// that waits for no packet of the first's.
void closed_past_libevent_over_a_send(void **)
{
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
    SOCKET socket = taken_from_the_first("slowly");
    fake::close_by_program(socket);
    SOCKET again = connected_again(socket);
    struct bufferevent *bev = on(second, again, BEV_OPT_CLOSE_ON_FREE);
    turns(second, 3);
    bufferevent_free(bev);
    turns(second, 2);
    assert_false(fake::is_open(again));
    turns(first, 3);
}

// Without locks, the second keeps the bytes while another thread runs it; the first has the socket, and is asked all
// the same.
void closed_over_bytes_out_of_reach(void **)
{
    static SOCKET socket;
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
    socket = taken_from_the_first();
    bufferevent_free(on(second, socket, 0));
    struct timeval limit = {1, 0};
    event_base_loopexit(second, &limit);
    fake::at(fake::now_us(), [] {
        backend_of(second)->loop.thread = GetCurrentThreadId() + 1;
        struct bufferevent *bev = on(first, socket, BEV_OPT_CLOSE_ON_FREE);
        turns(first, 3);
        free_with_a_send_in_flight(bev, first, socket);
    });
    event_base_dispatch(second);
    assert_false(fake::is_open(socket));
}

} // namespace

int main()
{
#define MOVING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_two_bases, tear_down_two_bases)
    const struct CMUnitTest tests[] = {
        MOVING_TEST(there_and_back),
        MOVING_TEST(there_and_back_after_a_read),
        MOVING_TEST(closed_by_the_second_and_the_number_comes_back),
        MOVING_TEST(closed_past_libevent_over_a_send),
        MOVING_TEST(closed_over_bytes_out_of_reach),
    };
    return cmocka_run_group_tests_name("moving_back", tests, nullptr, nullptr);
}
