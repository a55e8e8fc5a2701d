// Sockets of plain events that are ready lately are looked at by one call, and none is forgotten for that.
#include "support/check.h"

#include "support/bases.h"

#include "backend/backend.h"
#include "backend/poll_together.h"

using namespace iocp;

namespace {

constexpr int active_count = 10;
constexpr int warm_up_turns = 10;

struct event_base *base;
std::vector<SOCKET> sockets;
std::vector<counted *> readers;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    sockets.clear();
    readers.clear();
    return 0;
}

int tear_down(void **)
{
    for (counted *reader : readers)
        free_counted(reader);
    event_base_free(base);
    return check_nothing_is_left();
}

counted *watch(ULONG level, short what = EV_READ | EV_PERSIST)
{
    sockets.push_back(fake::open_socket(fake::kind::stream, level));
    readers.push_back(count_events(base, static_cast<evutil_socket_t>(sockets.back()), what));
    assert_int_equal(event_add(readers.back()->registered, nullptr), 0);
    return readers.back();
}

// Turns of a loop that would wait if it had nothing to do.
void run_turns(int turns)
{
    for (int i = 0; i < turns; ++i)
        event_base_loop(base, EVLOOP_ONCE);
}

void watch_active(int count)
{
    for (int i = 0; i < count; ++i)
        watch(sys::afd_receive);
    run_turns(warm_up_turns);
}

void one_call_tells_of_many(void **)
{
    constexpr int turns = 100;
    watch_active(active_count);
    uint64_t polls = fake::calls(fake::call::afd_poll);
    uint64_t looks = fake::calls(fake::call::look_now);
    std::vector<int> before;
    for (counted *reader : readers)
        before.push_back(reader->count);
    run_turns(turns);
    assert_int_equal(fake::calls(fake::call::afd_poll) - polls, 0);
    assert_int_equal(fake::calls(fake::call::look_now) - looks, turns);
    for (size_t i = 0; i < readers.size(); ++i)
        assert_int_equal(readers[i]->count - before[i], turns);
}

void more_than_one_call_can_take(void **)
{
    constexpr int turns = 20;
    constexpr int many = 2 * static_cast<int>(sys::max_looked_at) + 1;
    watch_active(many);
    uint64_t looks = fake::calls(fake::call::look_now);
    int before = readers.back()->count;
    run_turns(turns);
    assert_int_equal(fake::calls(fake::call::look_now) - looks, 3 * turns);
    assert_int_equal(readers.back()->count - before, turns);
}

// Idle ones are not looked at again and again: each waits with a poll of its own.
void idle_ones_are_polled(void **)
{
    constexpr size_t idle = 100;
    watch_active(active_count);
    for (size_t i = 0; i < idle; ++i)
        watch(0);
    run_turns(max_misses);
    for (size_t i = active_count; i < sockets.size(); ++i)
        assert_int_equal(fake::polls_waiting(sockets[i]), 1);
    fake::set_level(sockets.back(), sys::afd_receive);
    turn_to_port(base);
    assert_true(readers.back()->count > 0);
}

// Who is no longer ready gets a poll after a few looks, while the others are still looked at.
void who_falls_silent_is_polled(void **)
{
    watch_active(active_count);
    fake::set_level(sockets[3], 0);
    run_turns(1);
    int before = readers[3]->count;
    assert_int_equal(fake::polls_waiting(sockets[3]), 0);
    run_turns(max_misses);
    assert_int_equal(readers[3]->count, before);
    assert_int_equal(fake::polls_waiting(sockets[3]), 1);
    uint64_t polls = fake::calls(fake::call::afd_poll);
    run_turns(20);
    assert_int_equal(fake::calls(fake::call::afd_poll), polls);
}

// Before the loop sleeps, all of them are polled, and the first to be ready wakes it.
void all_are_polled_before_the_loop_sleeps(void **)
{
    watch_active(active_count);
    for (SOCKET socket : sockets)
        fake::set_level(socket, 0);
    int before = readers[7]->count;
    fake::at(fake::now_us() + 1000, [] {
        for (SOCKET socket : sockets)
            assert_int_equal(fake::polls_waiting(socket), 1);
        fake::set_level(sockets[7], sys::afd_receive);
    });
    run_turns(1);
    assert_int_equal(readers[7]->count - before, 1);
}

// Looks that find nothing become rare: sockets among silent ones cost their polls, one look for the packet that comes when
// the other one's callback has run, and little else.
void looks_in_vain_become_rare(void **)
{
    constexpr int rounds = 200;
    watch_active(active_count);
    uint64_t looks = fake::calls(fake::call::look_now);
    for (int round = 0; round < rounds; ++round) {
        for (SOCKET socket : sockets)
            fake::set_level(socket, 0);
        fake::at(fake::now_us() + 1000, [] {
            fake::set_level(sockets[0], sys::afd_receive);
            fake::set_level(sockets[1], sys::afd_receive);
        });
        run_turns(1);
    }
    uint64_t made = fake::calls(fake::call::look_now) - looks;
    assert_in_range(made, 1, rounds + rounds / 4);
}

// One that its program has closed without telling makes the look fail for its group. The others go on.
void closed_one(int count, size_t closed)
{
    constexpr int turns = 100;
    watch_active(count);
    fake::close_by_program(sockets[closed]);
    std::vector<int> before;
    for (counted *reader : readers)
        before.push_back(reader->count);
    run_turns(turns);
    for (size_t i = 0; i < readers.size(); ++i)
        if (i != closed)
            assert_in_range(readers[i]->count - before[i], turns - 1, turns);
    assert_true(readers[closed]->count - before[closed] <= 1);
}

void closed_by_the_program(void **)
{
    closed_one(active_count, 5);
}

void closed_in_another_group(void **)
{
    closed_one(2 * static_cast<int>(sys::max_looked_at) + 10, sys::max_looked_at + 5);
}

// Each time one is added again it is looked at with the others, and told once.
void one_shot_events(void **)
{
    watch_active(active_count);
    counted *once = watch(sys::afd_receive, EV_READ);
    run_turns(5);
    assert_int_equal(once->count, 1);
    uint64_t polls = fake::calls(fake::call::afd_poll);
    for (int round = 0; round < 20; ++round) {
        int before = once->count;
        event_add(once->registered, nullptr);
        run_turns(3);
        assert_int_equal(once->count - before, 1);
    }
    assert_true(fake::calls(fake::call::afd_poll) - polls <= 20);
}

// A close that leaves data to be read, and writability, are for AFD.
void other_interest_is_polled(void **)
{
    watch_active(active_count);
    counted *closing = watch(sys::afd_receive, EV_CLOSED | EV_PERSIST);
    counted *both = watch(sys::afd_receive | sys::afd_send, EV_READ | EV_WRITE | EV_PERSIST);
    run_turns(20);
    assert_int_equal(closing->count, 0);
    assert_int_equal(fake::polls_waiting(sockets[active_count]), 1);
    assert_true(both->count >= 10);
    assert_int_equal(both->what, EV_READ | EV_WRITE);
}

// Reads and writes by turns, as programs do that answer on plain events: one call a turn, whatever is added and
// deleted.
void interest_that_changes_costs_nothing_more(void **)
{
    constexpr int turns = 100;
    for (int i = 0; i < active_count; ++i)
        watch(sys::afd_receive | sys::afd_send);
    run_turns(1);
    uint64_t looks = fake::calls(fake::call::look_now);
    uint64_t others = fake::calls(fake::call::afd_poll) + fake::calls(fake::call::cancel) +
                      fake::calls(fake::call::socket_type) + fake::calls(fake::call::port_dequeue);
    for (int i = 0; i < turns; ++i) {
        short what = static_cast<short>((i % 2 != 0 ? EV_READ : EV_WRITE) | EV_PERSIST);
        for (counted *reader : readers) {
            event_del(reader->registered);
            event_assign(reader->registered, base, event_get_fd(reader->registered), what,
                         event_get_callback(reader->registered), reader);
            event_add(reader->registered, nullptr);
        }
        run_turns(1);
        for (const counted *reader : readers)
            assert_int_equal(reader->what, what & ~EV_PERSIST);
    }
    assert_int_equal(fake::calls(fake::call::look_now) - looks, turns);
    assert_int_equal(fake::calls(fake::call::afd_poll) + fake::calls(fake::call::cancel) +
                         fake::calls(fake::call::socket_type) + fake::calls(fake::call::port_dequeue) - others,
                     0);
}

// A number that comes back after evutil_closesocket is asked anew what it is.
void a_new_life_is_asked_what_it_is(void **)
{
    watch(sys::afd_receive);
    event_del(readers[0]->registered);
    evutil_closesocket(static_cast<evutil_socket_t>(sockets[0]));
    assert_int_equal(event_add(readers[0]->registered, nullptr), -1);
    assert_int_equal(evutil_socket_geterror(static_cast<evutil_socket_t>(sockets[0])), WSAENOTSOCK);
    SOCKET again = fake::open_socket(fake::kind::datagram, sys::afd_receive);
    assert_int_equal(again, sockets[0]);
    assert_int_equal(event_add(readers[0]->registered, nullptr), 0);
    fake::set_level(again, 0);
    fake::report_arrives(again, sys::datagram_report::port_unreachable);
    assert_int_equal(fake::level(again), 0);
    fake::set_level(again, sys::afd_receive);
    run_turns(2);
    assert_true(readers[0]->count > 0);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_call_tells_of_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_one_call_can_take, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_ones_are_polled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_falls_silent_is_polled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_are_polled_before_the_loop_sleeps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(looks_in_vain_become_rare, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_by_the_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_in_another_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_shot_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_interest_is_polled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interest_that_changes_costs_nothing_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_life_is_asked_what_it_is, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("poll_together", tests, nullptr, nullptr);
}
