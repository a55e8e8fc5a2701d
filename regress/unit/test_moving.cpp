// A connected descriptor moves from a bufferevent of one base to one of another, on the fake kernel: what the first has
// received and its program has not read comes with it, natively or by readiness, and never on another connection.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_file.h"
#include "support/fake_kernel.h"
#include "support/guard.h"
#include "support/moved_socket.h"

#include "backend/backend.h"
#include "backend/socket_record.h"
#include "backend/socket_registry.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

void check_converses(struct bufferevent *bev, SOCKET socket)
{
    fake::peer_sends(socket, "new");
    bufferevent_write(bev, "said", 4);
    turns(second, 20);
    assert_string_equal(heard.c_str(), "keptnew");
    assert_string_equal(fake::sent(socket).c_str(), "said");
    bufferevent_free(bev);
    turns(second, 2);
}

// On the second base's port where Windows can do that, and by readiness elsewhere; whoever closes the descriptor.
void bytes_move(void **)
{
    for (bool leaves : {true, false})
        for (int options : {int(BEV_OPT_CLOSE_ON_FREE), 0}) {
            heard.clear();
            SOCKET socket = taken_from_the_first();
            if (!leaves)
                fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
            uint64_t receives = fake::calls(fake::call::receive);
            struct bufferevent *bev = on(second, socket, options);
            check_converses(bev, socket);
            bool is_native = leaves && options != 0;
            assert_int_equal(fake::calls(fake::call::receive) > receives, is_native);
            if (options == 0)
                fake::close_by_program(socket);
            fake::fail_calls(fake::call::leave_port, 0, 0);
        }
}

void first_base_ends()
{
    event_base_free(first);
    first = nullptr;
}

void begin_anew(SOCKET left)
{
    if (fake::is_open(left))
        fake::close_by_program(left);
    fake::fail_calls(fake::call::leave_port, 0, 0);
    first = make_base(on_iocp);
    heard.clear();
    ended = 0;
}

// The first base is freed between the two bufferevents: all the same.
void over_the_first_ones_end(void **)
{
    for (bool leaves : {true, false})
        for (int options : {int(BEV_OPT_CLOSE_ON_FREE), 0}) {
            SOCKET socket = taken_from_the_first();
            if (!leaves)
                fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
            first_base_ends();
            uint64_t receives = fake::calls(fake::call::receive);
            struct bufferevent *bev = on(second, socket, options);
            bufferevent_set_max_single_read(bev, 3);
            check_converses(bev, socket);
            bool is_native = leaves && options != 0;
            assert_int_equal(fake::calls(fake::call::receive) > receives, is_native);
            begin_anew(socket);
        }
}

// With a send of its in flight, so that the second's bufferevent was there first, and did not read yet.
void over_the_first_ones_end_with_a_send_in_flight(void **)
{
    SOCKET socket = taken_from_the_first("slowly");
    struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_disable(bev, EV_READ);
    turns(second, 2);
    fake::at(fake::now_us() + 1000, [=] { fake::set_send_room(socket, SIZE_MAX); });
    first_base_ends();
    bufferevent_enable(bev, EV_READ);
    fake::peer_sends(socket, "new");
    turns(second, 20);
    assert_string_equal(heard.c_str(), "keptnew");
    assert_string_equal(fake::sent(socket).c_str(), "slowly");
    bufferevent_free(bev);
    turns(second, 2);
    assert_false(fake::is_open(socket));
}

// They end with their socket: closed by libevent, or past it, and its number comes back.
void over_the_first_ones_end_to_nobody(void **)
{
    for (bool past_libevent : {true, false}) {
        SOCKET socket = taken_from_the_first();
        first_base_ends();
        if (past_libevent)
            fake::close_by_program(socket);
        else
            evutil_closesocket(static_cast<evutil_socket_t>(socket));
        assert_false(fake::is_open(socket));
        SOCKET again = fake::open_socket(fake::kind::stream);
        assert_int_equal(again, socket);
        fake::connect_now(again);
        struct bufferevent *bev = on(second, again, BEV_OPT_CLOSE_ON_FREE);
        fake::peer_sends(again, "other");
        turns(second, 10);
        assert_string_equal(heard.c_str(), "other");
        bufferevent_free(bev);
        turns(second, 2);
        begin_anew(again);
    }
}

// Nothing is passed over in silence.
void over_the_first_ones_end_without_memory(void **)
{
    for (unsigned allowed = 0; allowed < 3; ++allowed) {
        SOCKET socket = taken_from_the_first();
        guard::fail_allocations(allowed, 1);
        first_base_ends();
        guard::fail_allocations(0, 0);
        struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
        turns(second, 5);
        assert_true(heard == "kept" || fake::sending_has_ended(socket));
        assert_int_equal(heard.empty(), allowed == 0);
        bufferevent_free(bev);
        turns(second, 2);
        begin_anew(socket);
    }
}

// By readiness, and read in small parts; the descriptor is given to it later.
void in_parts(void **)
{
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
    SOCKET socket = taken_from_the_first();
    struct bufferevent *bev = on(second, static_cast<SOCKET>(-1), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_set_max_single_read(bev, 1);
    bufferevent_setfd(bev, static_cast<evutil_socket_t>(socket));
    turns(second, 10);
    assert_string_equal(heard.c_str(), "kept");
    check_converses(bev, socket);
}

void stop_at_once(struct evbuffer *, const struct evbuffer_cb_info *info, void *reader)
{
    if (info->n_added == 0)
        return;
    // Who frees a base waits for these, and may be waited for here.
    for (struct event_base *each : {first, second})
        assert_int_equal(backend_uses(backend_of(each))->load(), 0);
    bufferevent_disable(static_cast<struct bufferevent *>(reader), EV_READ);
}

// The same, and the input wants no more after each; whichever base has the rest.
void in_parts_that_are_asked_for(void **)
{
    for (const char *in_flight : {static_cast<const char *>(nullptr), "slowly"}) {
        heard.clear();
        SOCKET socket = taken_from_the_first(in_flight);
        fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
        struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_set_max_single_read(bev, 1);
        struct evbuffer_cb_entry *stops = evbuffer_add_cb(bufferevent_get_input(bev), stop_at_once, bev);
        for (size_t i = 1; i <= 4; ++i) {
            turns(second, 3);
            assert_int_equal(heard.size(), i);
            bufferevent_enable(bev, EV_READ);
        }
        assert_string_equal(heard.c_str(), "kept");
        evbuffer_remove_cb_entry(bufferevent_get_input(bev), stops);
        fake::peer_sends(socket, "new");
        turns(second, 20);
        assert_string_equal(heard.c_str(), "keptnew");
        fake::set_send_room(socket, SIZE_MAX);
        turns(first, 2);
        bufferevent_free(bev);
        turns(second, 2);
        assert_false(fake::is_open(socket));
        fake::fail_calls(fake::call::leave_port, 0, 0);
    }
}

// The first base has a send on it, and so is asked before the socket is closed, whether the second has read the bytes
// or not.
void closed_over_a_send_of_the_first(void **)
{
    for (bool reads : {true, false}) {
        heard.clear();
        SOCKET socket = taken_from_the_first("slowly");
        struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
        if (reads)
            turns(second, 5);
        assert_string_equal(heard.c_str(), reads ? "kept" : "");
        bufferevent_free(bev);
        turns(second, 2);
        check_closed_when_sent(first, socket, "slowly");
    }
}

// An event of the program's own was on it before the second's bufferevent is.
void past_an_event_of_the_programs(void **)
{
    SOCKET socket = taken_from_the_first();
    counted *closes = count_events(second, static_cast<evutil_socket_t>(socket), EV_CLOSED | EV_PERSIST);
    event_add(closes->registered, nullptr);
    turns(second, 2);
    struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
    fake::peer_sends(socket, "new");
    turns(second, 10);
    assert_string_equal(heard.c_str(), "keptnew");
    free_counted(closes);
    bufferevent_free(bev);
    turns(second, 2);
}

// The last of them is not waited for until the next comes.
void nothing_more_comes(void **)
{
    for (bool leaves : {true, false}) {
        heard.clear();
        SOCKET socket = taken_from_the_first();
        if (!leaves)
            fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
        struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
        turns(second, 5);
        assert_string_equal(heard.c_str(), "kept");
        bufferevent_free(bev);
        turns(second, 2);
        fake::fail_calls(fake::call::leave_port, 0, 0);
    }
}

// Bytes are kept for somebody, and a socket that blocks, and could not leave the first's port, waits at the second: it is
// not known without a look that they are another one's.
void what_is_kept_is_for_another(void **)
{
    SOCKET kept_for = taken_from_the_first();
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    fake::set_never_blocks(socket, false);
    struct bufferevent *before = on(first, socket, BEV_OPT_CLOSE_ON_FREE);
    turns(first, 2);
    bufferevent_setfd(before, -1);
    bufferevent_free(before);
    turns(first, 2);
    struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
    turns(second, 5);
    assert_null(fake::complaint());
    assert_string_equal(heard.c_str(), "");
    fake::peer_sends(socket, "new");
    turns(second, 5);
    assert_string_equal(heard.c_str(), "new");
    bufferevent_free(bev);
    turns(second, 2);
    evutil_closesocket(static_cast<evutil_socket_t>(kept_for));
}

// The second base remembers a pipe of that number, which its program had back and closed by itself.
void where_a_file_had_its_number(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe, 0, reinterpret_cast<HANDLE>(fake::first_socket));
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED);
    bufferevent_free(bufferevent_iocp_handle_new(second, file, 0));
    turns(second, 3);
    fake::close_file_by_program(file);
    SOCKET socket = taken_from_the_first();
    assert_ptr_equal(reinterpret_cast<HANDLE>(socket), file);
    check_converses(on(second, socket, 0), socket);
    fake::close_by_program(socket);
}

// Closed past libevent, and the number comes back.
void not_on_another_connection(void **)
{
    SOCKET socket = taken_from_the_first();
    fake::close_by_program(socket);
    SOCKET again = fake::open_socket(fake::kind::stream);
    assert_int_equal(again, socket);
    fake::connect_now(again);
    struct bufferevent *bev = on(second, again, BEV_OPT_CLOSE_ON_FREE);
    fake::peer_sends(again, "other");
    turns(second, 10);
    assert_string_equal(heard.c_str(), "other");
    bufferevent_free(bev);
    turns(second, 2);
}

// Without locks, as private bases in threads may be: nobody looks into a base that another thread runs.
void a_base_of_another_thread_is_left_alone(void **)
{
    static SOCKET socket;
    socket = taken_from_the_first();
    struct timeval limit = {1, 0};
    event_base_loopexit(first, &limit);
    fake::at(fake::now_us(), [] {
        backend *keeper = backend_of(first);
        keeper->loop.thread = GetCurrentThreadId() + 1;
        unsigned life = socket_find(keeper, static_cast<evutil_socket_t>(socket))->life;
        struct bufferevent *bev = on(second, socket, BEV_OPT_CLOSE_ON_FREE);
        turns(second, 3);
        bufferevent_free(bev); // closes it
        turns(second, 3);
        assert_int_equal(socket_find(keeper, static_cast<evutil_socket_t>(socket))->life, life);
        assert_true(socket_has_early(keeper, static_cast<evutil_socket_t>(socket)));
    });
    event_base_dispatch(first);
    assert_string_equal(heard.c_str(), "");
    assert_false(fake::is_open(socket));
}

// Nothing is passed over in silence.
void without_memory(void **)
{
    for (bool leaves : {true, false})
        for (unsigned allowed = 0; allowed < 12; ++allowed) {
            heard.clear();
            ended = 0;
            SOCKET socket = taken_from_the_first();
            if (!leaves)
                fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
            guard::fail_allocations(allowed, 1);
            struct bufferevent *bev =
                bufferevent_socket_new(second, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
            guard::fail_allocations(0, 0);
            if (bev == nullptr) {
                fake::close_by_program(socket);
            } else {
                hear(bev);
                fake::peer_sends(socket, "new");
                turns(second, 20);
                assert_true(heard == "keptnew" || (heard.empty() && ended != 0));
                bufferevent_free(bev);
                turns(second, 2);
            }
            fake::fail_calls(fake::call::leave_port, 0, 0);
        }
}

} // namespace

int main()
{
#define MOVING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_two_bases, tear_down_two_bases)
    const struct CMUnitTest tests[] = {
        MOVING_TEST(bytes_move),
        MOVING_TEST(over_the_first_ones_end),
        MOVING_TEST(over_the_first_ones_end_with_a_send_in_flight),
        MOVING_TEST(over_the_first_ones_end_to_nobody),
        MOVING_TEST(over_the_first_ones_end_without_memory),
        MOVING_TEST(in_parts),
        MOVING_TEST(in_parts_that_are_asked_for),
        MOVING_TEST(closed_over_a_send_of_the_first),
        MOVING_TEST(past_an_event_of_the_programs),
        MOVING_TEST(nothing_more_comes),
        MOVING_TEST(what_is_kept_is_for_another),
        MOVING_TEST(where_a_file_had_its_number),
        MOVING_TEST(not_on_another_connection),
        MOVING_TEST(a_base_of_another_thread_is_left_alone),
        MOVING_TEST(without_memory),
    };
    return cmocka_run_group_tests_name("moving", tests, nullptr, nullptr);
}
