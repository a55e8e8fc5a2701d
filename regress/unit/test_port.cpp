// What else than its own operations a port may have to do with: packets of others, routines of the thread, other
// threads.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"
#include "support/meanwhile.h"

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
    fake::set_computing_threads(0);
    event_base_free(base);
    return check_nothing_is_left();
}

std::string received;

void on_read(struct bufferevent *bev, void *)
{
    char bytes[64];
    received.append(bytes, bufferevent_read(bev, bytes, sizeof(bytes)));
}

// The program makes an overlapped call of its own on a socket that is on our port: its packet's memory is not touched.
void packets_of_others_are_left_alone(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    struct bufferevent *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_read, nullptr, nullptr, nullptr);
    bufferevent_enable(bev, EV_READ);
    received.clear();
    turn_to_port(base);
    void *nowhere = reinterpret_cast<void *>(uintptr_t{0x10});
    static OVERLAPPED idle[2];
    memset(idle, 0x41, sizeof(idle));
    for (void *theirs : {nowhere, static_cast<void *>(&idle[0])}) {
        fake::post_by_program(socket, theirs);
        fake::peer_sends(socket, "x");
        for (int turns = 0; turns < 5; ++turns)
            turn_to_port(base);
    }
    assert_string_equal(received.c_str(), "xx");
    assert_int_equal(memcmp(&idle[0], &idle[1], sizeof(idle[0])), 0);
    assert_int_equal(fake::packets_queued(), 0);
    bufferevent_free(bev);
}

int routines_run;

// A routine that was queued to the loop's thread runs while the loop waits, which is no error, and the wait goes on.
void routines_of_the_thread_run_in_the_wait(void **)
{
    routines_run = 0;
    counted *reader = count_events(base, static_cast<evutil_socket_t>(fake::open_socket(fake::kind::stream)), EV_READ);
    event_add(reader->registered, nullptr);
    for (int i = 1; i <= 3; ++i)
        fake::at(fake::now_us() + 1000 * i, [] { fake::queue_routine([] { ++routines_run; }); });
    fake::at(fake::now_us() + 5000, [] { fake::set_level(fake::first_socket, sys::afd_receive); });
    size_t waits = fake::waits().size();
    assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    assert_int_equal(routines_run, 3);
    assert_int_equal(reader->count, 1);
    assert_true(fake::waits().size() - waits <=
                2 * 5); // a look and a wait for each routine and the packet: no busy loop
    assert_int_equal(warnings().size(), 0);
    free_counted(reader);
}

// Taking the descriptor away waits for a receive whose cancel the kernel takes its time with, under libevent's locks: a
// routine that called libevent there would find them taken.
void no_routine_runs_under_locks(void **)
{
    routines_run = 0;
    received.clear();
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    auto fd = static_cast<evutil_socket_t>(socket);
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_read, nullptr, nullptr, nullptr);
    bufferevent_enable(bev, EV_READ);
    turn_to_port(base);
    fake::peer_sends(socket, "x"); // its next receive has a buffer
    for (int turns = 0; turns < 3; ++turns)
        turn_to_port(base);
    assert_string_equal(received.c_str(), "x");
    fake::hold_packets(true);
    fake::queue_routine([] { ++routines_run; });
    int64_t asked_us = fake::now_us();
    bufferevent_setfd(bev, -1);
    assert_true(fake::now_us() > asked_us); // it has waited
    assert_int_equal(routines_run, 0);
    fake::hold_packets(false);
    fake::release_all();
    bufferevent_setfd(bev, fd);
    for (int turns = 0; turns < 3; ++turns)
        turn_to_port(base);
    assert_int_equal(routines_run, 1);
    bufferevent_free(bev);
}

// A thread that ran the base before and computes now is one of the port's threads to Windows.
void threads_that_compute_keep_no_packets_back(void **)
{
    counted *reader = count_events(base, static_cast<evutil_socket_t>(fake::open_socket(fake::kind::stream)), EV_READ);
    event_add(reader->registered, nullptr);
    turn_to_port(base);
    fake::set_computing_threads(64);
    fake::at(fake::now_us() + 1000, [] { fake::set_level(fake::first_socket, sys::afd_receive); });
    assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    assert_int_equal(reader->count, 1);
    free_counted(reader);
}

void loop_has_the_packet()
{
    meanwhile_take_packets(base);
}

// The loop sleeps, and gets the packet of what another thread lets go of: at once, or only after a time.
void who_waits_for_a_loop_sleeps_only_if_that_takes_long(void **)
{
    use_fake_threads();
    for (bool at_once : {true, false}) {
        SOCKET socket = fake::open_socket(fake::kind::stream);
        fake::connect_now(socket);
        struct bufferevent *bev =
            bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
        bufferevent_enable(bev, EV_READ);
        turn_to_port(base);
        fake::hold_packets(true);
        fake::within(at_once ? fake::call::thread_yield : fake::call::thread_sleep, loop_has_the_packet);
        uint64_t sleeps = fake::calls(fake::call::thread_sleep), yields = fake::calls(fake::call::thread_yield);
        base->running_loop = 1;
        become_thread(other_thread);
        bufferevent_setfd(bev, -1);
        become_thread(loop_thread);
        base->running_loop = 0;
        fake::hold_packets(false);
        assert_int_equal(fake::calls(fake::call::thread_sleep) - sleeps, at_once ? 0 : 1);
        assert_int_equal(fake::calls(fake::call::thread_yield) - yields, at_once ? 1 : sys::looks_before_sleep);
        bufferevent_free(bev);
        turn_to_port(base);
        fake::close_by_program(socket);
    }
}

// The table grows, and if it cannot, everyone is found all the same.
void find_everybody(bool without_memory)
{
    constexpr size_t many = 20 * first_in_flight_buckets;
    static completion operations[many];
    in_flight_table table;
    in_flight_init(&table);
    if (without_memory)
        guard::fail_allocations(0, UINT_MAX);
    for (completion &one : operations)
        in_flight_add(&table, &one);
    assert_int_equal(table.count, many);
    assert_int_equal(table.grown == nullptr, without_memory);
    guard::fail_allocations(0, 0);
    for (size_t i = 0; i < many; i += 2)
        in_flight_remove(&table, &operations[i]);
    for (size_t i = 0; i < many; ++i)
        assert_ptr_equal(in_flight_find(&table, &operations[i].overlapped), i % 2 != 0 ? &operations[i] : nullptr);
    assert_null(in_flight_find(&table, nullptr));
    for (size_t i = 1; i < many; i += 2)
        in_flight_remove(&table, &operations[i]);
    in_flight_destroy(&table);
}

void what_is_in_flight_is_found(void **)
{
    find_everybody(false);
    find_everybody(true);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(packets_of_others_are_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(routines_of_the_thread_run_in_the_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_routine_runs_under_locks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_that_compute_keep_no_packets_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_for_a_loop_sleeps_only_if_that_takes_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_flight_is_found, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("port", tests, nullptr, nullptr);
}
