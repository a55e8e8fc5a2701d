// Who gets how much of a turn, and what a turn costs.
#include "support/check.h"

#include "support/bases.h"

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
    become_thread(loop_thread);
    event_base_free(base);
    return check_nothing_is_left();
}

SOCKET stream(ULONG level)
{
    return fake::open_socket(fake::kind::stream, level);
}

counted *watch(SOCKET socket, short what)
{
    counted *counting = count_events(base, static_cast<evutil_socket_t>(socket), what);
    assert_int_equal(event_add(counting->registered, nullptr), 0);
    return counting;
}

void always_ready_does_not_starve_the_port(void **)
{
    counted *writer = watch(stream(sys::afd_send), EV_WRITE | EV_PERSIST);
    counted *reader = watch(stream(0), EV_READ | EV_PERSIST);
    turn_to_port(base);
    for (int round = 0; round < 5; ++round) {
        fake::set_level(fake::first_socket + 4, sys::afd_receive);
        int before = reader->count;
        unsigned turns = 0;
        for (; reader->count == before; ++turns) {
            assert_true(turns <= max_turns_without_look);
            assert_int_equal(turn(base), 0);
        }
        fake::set_level(fake::first_socket + 4, 0);
        turn_to_port(base);
    }
    assert_true(writer->count > 5);
    free_counted(writer);
    free_counted(reader);
}

// Where looks are dear, they take no more than their share of the time, and a packet waits no longer than that makes
// it.
void looks_take_their_share_of_the_time(void **)
{
    constexpr int64_t look_us = 10, callback_us = 7;
    fake::set_look_cost_us(look_us);
    counted *writer = watch(stream(sys::afd_send), EV_WRITE | EV_PERSIST);
    counted *reader = watch(stream(0), EV_READ | EV_PERSIST);
    turn_to_port(base);
    turn_to_port(base);
    int64_t started = fake::now_us();
    uint64_t looks = fake::calls(fake::call::port_dequeue);
    constexpr int turns_made = 1000;
    for (int turns = 0; turns < turns_made; ++turns) {
        fake::advance_us(callback_us);
        event_base_loop(base, EVLOOP_ONCE);
    }
    looks = fake::calls(fake::call::port_dequeue) - looks;
    int64_t of_the_time = (fake::now_us() - started) / (look_share * look_us);
    int64_t before_receives = turns_made / (looks_left_out + 1);
    assert_in_range(looks, 10, of_the_time + before_receives + 2); // and those at its ends
    fake::set_level(fake::first_socket + 4, sys::afd_receive);
    int64_t came = fake::now_us();
    while (reader->count == 0) {
        fake::advance_us(callback_us);
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_in_range(fake::now_us() - came, 0, (look_share + 1) * look_us + 2 * callback_us);
    free_counted(writer);
    free_counted(reader);
}

// A callback that takes its time is followed by a look, however dear that is: a quiet neighbour waits for one callback.
void nobody_waits_for_slow_callbacks(void **)
{
    constexpr int64_t look_us = 10, callback_us = 1000;
    fake::set_look_cost_us(look_us);
    counted *writer = watch(stream(sys::afd_send), EV_WRITE | EV_PERSIST);
    counted *reader = watch(stream(0), EV_READ | EV_PERSIST);
    turn_to_port(base);
    for (int round = 0; round < 20; ++round) {
        fake::set_level(fake::first_socket + 4, sys::afd_receive);
        int before = reader->count, of_writer = writer->count;
        while (reader->count == before) {
            fake::advance_us(callback_us);
            event_base_loop(base, EVLOOP_ONCE);
        }
        assert_in_range(writer->count - of_writer, 0, 2);
        fake::set_level(fake::first_socket + 4, 0);
    }
    free_counted(writer);
    free_counted(reader);
}

counted *expected_first;
int timers_run;

void on_timer(evutil_socket_t, short, void *)
{
    ++timers_run;
    assert_true(expected_first->count > 0);
}

// The thread is held up in a look that brings a packet, until a timer is due. What was ready before that comes first.
void what_is_ready_comes_before_a_timer(void **)
{
    constexpr int64_t look_us = 20 * 1000;
    const struct timeval wait = {0, 10 * 1000};
    counted *reader = watch(stream(0), EV_READ | EV_PERSIST);
    turn_to_port(base);
    fake::set_look_cost_us(look_us);
    fake::set_level(fake::first_socket, sys::afd_receive);
    expected_first = watch(stream(sys::afd_send), EV_WRITE);
    timers_run = 0;
    event_base_once(base, -1, EV_TIMEOUT, on_timer, nullptr, &wait);
    for (int turns = 0; turns < 3 && timers_run == 0; ++turns)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(timers_run, 1);
    free_counted(reader);
    free_counted(expected_first);
}

// As above, while the loop waits, which takes a few packets at a time.
void all_that_is_ready_comes_before_a_timer(void **)
{
    const struct timeval wait = {0, 10 * 1000};
    counted *reader = watch(stream(0), EV_READ);
    expected_first = watch(stream(0), EV_READ);
    turn_to_port(base);
    fake::at(fake::now_us() + 5 * 1000, [] {
        fake::set_level(fake::first_socket, sys::afd_receive);
        fake::set_level(fake::first_socket + 4, sys::afd_receive);
        fake::advance_us(20 * 1000); // the thread has no processor
    });
    timers_run = 0;
    event_base_once(base, -1, EV_TIMEOUT, on_timer, nullptr, &wait);
    for (int turns = 0; turns < 3 && timers_run == 0; ++turns)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(timers_run, 1);
    assert_int_equal(reader->count, 1);
    free_counted(reader);
    free_counted(expected_first);
}

int packets_seen;

void count_packet(struct event_overlapped *, ev_uintptr_t, ev_ssize_t, int)
{
    ++packets_seen;
}

void flood_leaves_room_for_timers(void **)
{
    constexpr int packets = 10000;
    constexpr int most_in_a_turn = 8 * 128;
    packets_seen = 0;
    auto *records = static_cast<struct event_overlapped *>(calloc(packets, sizeof(struct event_overlapped)));
    for (int i = 0; i < packets; ++i) {
        event_overlapped_init_(&records[i], count_packet);
        assert_int_equal(event_iocp_activate_overlapped_(event_base_get_iocp_(base), &records[i], 7, 1), 0);
    }
    counted *timer = count_events(base, -1, EV_PERSIST);
    struct timeval soon = {0, 1};
    event_add(timer->registered, &soon);
    int turns = 0;
    for (; packets_seen < packets; ++turns) {
        int before = packets_seen;
        fake::advance_us(10);
        turn(base);
        assert_true(packets_seen > before);
        assert_true(packets_seen - before <= most_in_a_turn);
    }
    assert_true(timer->count == turns);
    assert_int_equal(packets_seen, packets);
    free_counted(timer);
    free(records);
}

void drain(evutil_socket_t fd, short, void *argument)
{
    ++*static_cast<int *>(argument);
    fake::set_level(static_cast<SOCKET>(fd), 0);
}

void asks_for_no_more_than_is_owed(void **)
{
    constexpr int many = 40;
    turn(base);
    assert_int_equal(fake::batch_sizes().back(), 1);
    int counts[many] = {};
    struct event *readers[many];
    for (int i = 0; i < many; ++i) {
        readers[i] = event_new(base, static_cast<evutil_socket_t>(stream(0)), EV_READ | EV_PERSIST, drain, &counts[i]);
        event_add(readers[i], nullptr);
    }
    turn(base);
    assert_true(fake::batch_sizes().back() <= many);
    assert_int_equal(fake::handles_open(), 3); // the port and two devices
    // Batches grow to what comes, while it comes.
    int turns = 0;
    for (int round = 0; round < 20; ++round) {
        turn_to_port(base); // polls again for those that were told last
        for (int i = 0; i < many; ++i)
            fake::set_level(fake::first_socket + 4 * static_cast<SOCKET>(i), sys::afd_receive);
        turns = 0;
        for (; fake::packets_queued() != 0; ++turns) {
            assert_true(turns < 10 * many);
            turn(base);
            assert_true(fake::batch_sizes().back() <= many);
        }
    }
    assert_true(turns <= 20);
    for (int i = 0; i < many; ++i) {
        assert_int_equal(counts[i], 20);
        event_free(readers[i]);
    }
    turn_to_port(base);
    turn_to_port(base);
    assert_int_equal(fake::batch_sizes().back(), 1);
}

std::string order;

void note_low(evutil_socket_t, short, void *)
{
    order += 'l';
}

void note_high(evutil_socket_t, short, void *)
{
    order += 'h';
}

// Where both are ready when the port is looked at, the urgent one comes first, whichever packet was queued first.
void priorities_hold_among_what_is_ready(void **)
{
    event_base_priority_init(base, 2);
    struct event *low[8];
    for (struct event *&one : low) {
        one = event_new(base, static_cast<evutil_socket_t>(stream(0)), EV_READ, note_low, nullptr);
        event_priority_set(one, 1);
        event_add(one, nullptr);
    }
    SOCKET urgent = stream(0);
    struct event *high = event_new(base, static_cast<evutil_socket_t>(urgent), EV_READ, note_high, nullptr);
    event_priority_set(high, 0);
    event_add(high, nullptr);
    turn(base);
    order.clear();
    for (int i = 0; i < 8; ++i)
        fake::set_level(fake::first_socket + 4 * static_cast<SOCKET>(i), sys::afd_receive);
    fake::set_level(urgent, sys::afd_receive);
    for (int i = 0; i < 20; ++i)
        turn(base);
    assert_string_equal(order.c_str(), "hllllllll");
    for (struct event *one : low)
        event_free(one);
    event_free(high);
}

// The calls of a turn are for what changed in it, not for what is open.
void idle_sockets_cost_nothing(void **)
{
    constexpr int idle = 1000;
    std::vector<counted *> readers;
    for (int i = 0; i < idle; ++i)
        readers.push_back(watch(stream(0), EV_READ | EV_PERSIST));
    turn_to_port(base);
    uint64_t polls = fake::calls(fake::call::afd_poll);
    uint64_t looks = fake::calls(fake::call::port_dequeue);
    uint64_t asked = fake::calls(fake::call::look_now);
    for (int round = 0; round < 10; ++round) {
        SOCKET active = fake::first_socket + 4 * static_cast<SOCKET>(round);
        fake::set_level(active, sys::afd_receive);
        turn_to_port(base);
        fake::set_level(active, 0);
        assert_int_equal(readers[static_cast<size_t>(round)]->count, 1);
    }
    assert_int_equal(fake::calls(fake::call::afd_poll) - polls, 9); // the tenth is due in the next turn
    assert_int_equal(fake::calls(fake::call::port_dequeue) - looks, 10);
    assert_int_equal(fake::calls(fake::call::look_now) - asked, 10); // callbacks have run since the polls began
    for (counted *reader : readers)
        free_counted(reader);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(always_ready_does_not_starve_the_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(looks_take_their_share_of_the_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_waits_for_slow_callbacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_ready_comes_before_a_timer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_that_is_ready_comes_before_a_timer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flood_leaves_room_for_timers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(priorities_hold_among_what_is_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_for_no_more_than_is_owed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_sockets_cost_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
