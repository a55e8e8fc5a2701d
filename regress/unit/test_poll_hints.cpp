// What a poll's packet says may have gone when it is taken, and interest may grow while a poll is in flight.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"
#include "support/one_socket.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

struct event_base *base;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    event_base_free(base);
    return check_nothing_is_left();
}

counted *watch(SOCKET socket, short what)
{
    counted *made = count_events(base, static_cast<evutil_socket_t>(socket), what);
    assert_int_equal(event_add(made->registered, nullptr), 0);
    return made;
}

void turns(int count)
{
    for (int i = 0; i < count; ++i)
        turn(base);
}

// A program that connects once more in its callback is told of the connect that is under way now, and of no earlier one.
void a_failure_may_be_another_connects(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    counted *writer = watch(socket, EV_WRITE | EV_PERSIST);
    turn_to_port(base);
    fake::set_level(socket, sys::afd_connect_failed);
    fake::set_level(socket, 0);
    turns(10);
    assert_int_equal(writer->count, 0);
    fake::set_level(socket, sys::afd_connect_failed);
    turns(10);
    assert_true(writer->count > 0);
    free_counted(writer);
}

// Under a layered provider no look tells whether a packet is old: a poll does, each time.
void old_packets_under_a_layered_provider(void **)
{
    world here;
    world_open(&here, {true, false, false, false});
    const action steps[] = {action::add_read,   action::turn,      action::data_comes, action::data_goes,
                            action::turn_first, action::turn,      action::turn,       action::turn,
                            action::data_comes, action::data_goes, action::turn_first};
    for (action step : steps) {
        assert_true(world_act(&here, step));
        world_check(&here);
    }
    assert_int_equal(here.told[slot_read], 0);
    world_settle(&here);
    world_close(&here);
    if (!here.broken.empty())
        fail_msg("%s", here.broken.c_str());
}

// Two sockets that have been looked at in vain, and sleep. Room is mostly there: the poll for data stays where it is.
void room_is_looked_for_beside_a_poll(void **)
{
    SOCKET sockets[2];
    counted *readers[2];
    for (int i = 0; i < 2; ++i) {
        sockets[i] = fake::open_socket(fake::kind::stream, sys::afd_receive);
        readers[i] = watch(sockets[i], EV_READ | EV_PERSIST);
    }
    turns(3);
    for (SOCKET socket : sockets)
        fake::set_level(socket, sys::afd_send);
    turns(10);
    assert_int_equal(fake::polls_waiting(sockets[0]), 1);
    uint64_t cancelled = fake::calls(fake::call::cancel), polls = fake::calls(fake::call::afd_poll);
    counted *writer = watch(sockets[0], EV_WRITE);
    turns(3);
    assert_int_equal(writer->count, 1);
    assert_int_equal(fake::calls(fake::call::cancel) - cancelled, 0);
    assert_int_equal(fake::calls(fake::call::afd_poll) - polls, 0);
    assert_int_equal(fake::polls_waiting(sockets[0]), 1);
    free_counted(writer);
    for (counted *reader : readers)
        free_counted(reader);
}

// Where there is no room, one poll takes the place of the other.
void room_that_is_not_there_is_polled_for(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    counted *reader = watch(socket, EV_READ | EV_PERSIST);
    turn_to_port(base);
    counted *writer = watch(socket, EV_WRITE);
    turns(3);
    assert_int_equal(fake::polls_waiting(socket), 1);
    fake::set_level(socket, sys::afd_send);
    turns(3);
    assert_int_equal(writer->count, 1);
    assert_int_equal(reader->count, 0);
    fake::set_level(socket, sys::afd_receive);
    turns(3);
    assert_true(reader->count > 0);
    free_counted(writer);
    free_counted(reader);
}

// Without memory for the next poll the one that is there stays.
void a_poll_stays_until_there_is_memory_for_the_next(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    counted *reader = watch(socket, EV_READ | EV_PERSIST);
    turn_to_port(base);
    counted *writer = watch(socket, EV_WRITE);
    guard::fail_allocations(0, 1);
    turn(base);
    assert_int_equal(guard::failed_allocations(), 1);
    assert_int_equal(fake::polls_waiting(socket), 1);
    fake::advance_us(20 * 1000);
    turns(3);
    fake::set_level(socket, sys::afd_send);
    turns(3);
    assert_int_equal(writer->count, 1);
    free_counted(writer);
    free_counted(reader);
}

void add_again(evutil_socket_t, short, void *argument)
{
    auto *adding = static_cast<counted *>(argument);
    ++adding->count;
    event_add(adding->registered, nullptr);
}

// Who is told of a close and waits once more is not told again and again.
void a_closed_number_falls_silent(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    counted *stays = watch(socket, EV_READ | EV_PERSIST);
    auto *again = new counted();
    again->registered = event_new(base, static_cast<evutil_socket_t>(socket), EV_READ, add_again, again);
    event_add(again->registered, nullptr);
    turn_to_port(base);
    fake::close_by_program(socket);
    turns(50);
    assert_int_equal(stays->count, 1);
    assert_int_equal(again->count, 1);
    free_counted(again);
    free_counted(stays);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failure_may_be_another_connects, set_up, tear_down),
        cmocka_unit_test(old_packets_under_a_layered_provider),
        cmocka_unit_test_setup_teardown(room_is_looked_for_beside_a_poll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(room_that_is_not_there_is_polled_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_poll_stays_until_there_is_memory_for_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_number_falls_silent, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("poll_hints", tests, nullptr, nullptr);
}
