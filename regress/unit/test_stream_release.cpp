// A stream is let go of once, on the fake kernel, whoever does it: the bufferevent's thread, the loop by its connect's packet,
// or who closes the descriptor. The other thread has its way wherever the first one lets go of the base's lock.
#include "support/check.h"

#include "support/connecting.h"
#include "support/fake_file.h"
#include "support/meanwhile.h"

#include "backend/backend.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

using step = void (*)();

attempt taken;
unsigned unlocks_before;

bool is_its_time()
{
    return unlocks_before-- == 0;
}

evutil_socket_t taken_descriptor()
{
    return static_cast<evutil_socket_t>(taken.socket);
}

void loop_has_the_packet()
{
    meanwhile_take_packets(taken.base);
}

void another_closes_it()
{
    evutil_closesocket(taken_descriptor());
}

// Its next turn has begun.
void loop_frees_what_was_let_go()
{
    base_locked held(taken.base);
    sources_free(backend_of(taken.base));
}

void loop_has_the_packet_and_turns()
{
    loop_has_the_packet();
    loop_frees_what_was_let_go();
}

void another_closes_it_and_the_loop_turns()
{
    another_closes_it();
    loop_frees_what_was_let_go();
}

void free_it()
{
    bufferevent_free(taken.bev);
    taken.bev = nullptr;
}

void take_its_descriptor()
{
    bufferevent_setfd(taken.bev, -1);
}

void set_it_again()
{
    bufferevent_setfd(taken.bev, taken_descriptor());
}

void connect_it_again()
{
    ask(&taken, {0, 0});
}

void set_its_base_again()
{
    bufferevent_base_set(taken.base, taken.bev);
}

// The base's lock is free `unlocks` times before the other thread has its way. False: it is not so often.
bool call_beside(step call, step other, unsigned unlocks)
{
    fake::boot(running_seed = unlocks + 1);
    fake::k().odds.pends_although_ready = 1000;
    fake::hold_packets(true);
    struct event_base *base = make_base(on_iocp);
    open_attempt(&taken, base, 0);
    ask(&taken, {0, 0});
    // The descriptor's next bufferevent has it as soon as it is connected: then the packet lets go of the stream.
    struct bufferevent *next = bufferevent_socket_new(base, taken_descriptor(), 0);
    assert_int_equal(backend_of(base)->rounds.connections.load(), 1);
    unlocks_before = unlocks;
    meanwhile_do_when(base, is_its_time, other);
    call();
    bool done = meanwhile_done();
    meanwhile_do_when(base, nullptr, nullptr);
    fake::hold_packets(false);
    fake::release_all();
    turn_to_port(base);
    turn_to_port(base);
    if (taken.bev != nullptr)
        bufferevent_free(taken.bev);
    bufferevent_free(next);
    turn_to_port(base);
    turn_to_port(base);
    assert_int_equal(backend_of(base)->rounds.connections.load(), 0);
    if (fake::is_open(taken.socket))
        fake::close_by_program(taken.socket);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
    return done;
}

void call_beside_at_each_unlock(step call, step other)
{
    unsigned unlocks = 0;
    while (call_beside(call, other, unlocks))
        ++unlocks;
    assert_true(unlocks > 0);
}

void beside_the_connects_packet(void **)
{
    for (step other : {loop_has_the_packet, loop_has_the_packet_and_turns})
        for (step call : {free_it, take_its_descriptor, set_it_again, connect_it_again, set_its_base_again})
            call_beside_at_each_unlock(call, other);
}

void beside_a_close(void **)
{
    for (step other : {another_closes_it, another_closes_it_and_the_loop_turns})
        for (step call : {free_it, take_its_descriptor, set_its_base_again})
            call_beside_at_each_unlock(call, other);
}

// The same with a file, whose number is the descriptor.
bool file_call_beside(step call, step other, unsigned unlocks)
{
    fake::boot(running_seed = unlocks + 1);
    struct event_base *base = make_base(on_iocp);
    HANDLE file = fake::open_file(sys::transport::pipe, 0);
    taken = attempt();
    taken.base = base;
    taken.socket = reinterpret_cast<SOCKET>(file);
    taken.bev = bufferevent_iocp_handle_new(base, file, 0);
    bufferevent_enable(taken.bev, EV_READ);
    turn_to_port(base);
    unlocks_before = unlocks;
    meanwhile_do_when(base, is_its_time, other);
    call();
    bool done = meanwhile_done();
    meanwhile_do_when(base, nullptr, nullptr);
    if (taken.bev != nullptr)
        bufferevent_free(taken.bev);
    turn_to_port(base);
    assert_int_equal(backend_of(base)->rounds.connections.load(), 0);
    if (fake::file_is_open(file)) // it was the program's again, which has other ways to close it
        fake::close_file_by_program(file);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
    return done;
}

void of_a_file_beside_a_close(void **)
{
    for (step other : {another_closes_it, another_closes_it_and_the_loop_turns})
        for (step call : {free_it, take_its_descriptor, set_it_again})
            for (unsigned unlocks = 0; file_call_beside(call, other, unlocks);)
                ++unlocks;
}

int set_up(void **)
{
    catch_log();
    return 0;
}

} // namespace

int main()
{
    meanwhile_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(beside_the_connects_packet, set_up),
        cmocka_unit_test_setup(beside_a_close, set_up),
        cmocka_unit_test_setup(of_a_file_beside_a_close, set_up),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    return cmocka_run_group_tests_name("stream release", tests, nullptr, nullptr);
}
