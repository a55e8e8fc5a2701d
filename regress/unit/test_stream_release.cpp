// A stream is let go of once, on the fake kernel, whoever does it: the bufferevent's thread, the loop by its connect's
// packet, or who closes the descriptor. The other thread has its way wherever the first one lets go of the base's lock.
#include "support/check.h"

#include <functional>

#include "support/connecting.h"
#include "support/fake_file.h"
#include "support/guard.h"
#include "support/meanwhile.h"

#include "backend/backend.h"
#include "bufferevent/bufferevent_stream.h"

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

// --- while the loop reads -----------------------------------------------------------------------------------------------

std::string said, heard;
bool is_closed, fails_then;
uint64_t started_before; // the close

uint64_t started()
{
    return fake::calls(fake::call::send) + fake::calls(fake::call::receive) + fake::calls(fake::call::file_send) +
           fake::calls(fake::call::file_receive);
}

void hear(struct bufferevent *from, void *)
{
    struct evbuffer *input = bufferevent_get_input(from);
    std::string bytes(evbuffer_get_length(input), ' ');
    evbuffer_remove(input, &bytes[0], bytes.size());
    heard += bytes;
}

void say(size_t length)
{
    std::string bytes(length, ' ');
    for (char &byte : bytes)
        byte = static_cast<char>('a' + fake::random() % 26);
    said += bytes;
    fake::peer_sends(taken.socket, bytes);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i)
        turn_to_port(taken.base);
}

void another_closes_it_while_it_is_read()
{
    is_closed = true;
    another_closes_it();
    started_before = started();
    if (fails_then)
        guard::fail_allocations(0, 1);
}

void within_an_allocation()
{
    if (!is_closed && evthread_is_debug_lock_held_(taken.base->th_base_lock) == 0 && is_its_time())
        another_closes_it_while_it_is_read();
}

void at_an_unlock()
{
    meanwhile_do_when(taken.base, is_its_time, another_closes_it_while_it_is_read);
}

void at_a_lock()
{
    meanwhile_do_first(taken.base, is_its_time, another_closes_it_while_it_is_read);
}

void in_an_allocation()
{
    guard::within_allocations(within_an_allocation);
}

void in_an_allocation_that_fails()
{
    fails_then = true;
    in_an_allocation();
}

// A stream whose receives have grown.
void open_reader()
{
    taken.socket = new_socket();
    fake::connect_now(taken.socket);
    taken.bev = bufferevent_socket_new(taken.base, taken_descriptor(), option_keeps_descriptor);
    bufferevent_setcb(taken.bev, hear, nullptr, nullptr, nullptr);
    bufferevent_enable(taken.bev, EV_READ);
    turns(1);
    for (int i = 0; i < 3; ++i) {
        say(64 * 1024);
        turns(30);
    }
    assert_true(heard == said);
}

void open_file_reader()
{
    HANDLE file = fake::open_file(sys::transport::pipe, 0);
    taken.socket = reinterpret_cast<SOCKET>(file);
    taken.bev = bufferevent_iocp_handle_new(taken.base, file, 0);
    bufferevent_setcb(taken.bev, hear, nullptr, nullptr, nullptr);
    bufferevent_enable(taken.bev, EV_READ);
    turns(1);
}

void close_what_is_open()
{
    turns(2);
    if (!is_closed && fake::is_open(taken.socket))
        evutil_closesocket(taken_descriptor());
    else if (fake::file_is_open(reinterpret_cast<HANDLE>(taken.socket)))
        fake::close_file_by_program(reinterpret_cast<HANDLE>(taken.socket));
    turns(2);
}

struct exchange {
    step open;
    step arrange;
    std::function<void()> talk;
};

// False: there are not so many places before it has come to its end.
bool talk_beside(const exchange &one, unsigned places)
{
    fake::boot(running_seed = places + 1);
    taken = attempt();
    taken.base = make_base(on_iocp);
    said.clear();
    heard.clear();
    is_closed = fails_then = false;
    one.open();
    unlocks_before = places;
    one.arrange();
    one.talk();
    turns(4);
    guard::within_allocations(nullptr);
    guard::fail_allocations(0, 0);
    meanwhile_do_when(taken.base, nullptr, nullptr);
    assert_true(said.compare(0, heard.size(), heard) == 0);
    if (is_closed)
        assert_int_equal(started(), started_before); // the number may be another's
    bufferevent_free(taken.bev);
    close_what_is_open();
    assert_int_equal(backend_of(taken.base)->streams.budget.spent, 0);
    assert_int_equal(backend_of(taken.base)->rounds.connections.load(), 0);
    event_base_free(taken.base);
    assert_null(fake::complaint_after_free());
    return is_closed;
}

void talk_beside_at_each_place(step open, const std::function<void()> &talk)
{
    for (step arrange : {at_an_unlock, at_a_lock, in_an_allocation, in_an_allocation_that_fails})
        for (unsigned places = 0; talk_beside({open, arrange, talk}, places);)
            ++places;
}

void closed_while_it_is_read(void **)
{
    for (size_t length : {size_t{100}, size_t{16 * 1024}}) // by a copy, and by a reference
        for (size_t limit : {size_t{0}, size_t{10}})       // all, or a part
            talk_beside_at_each_place(open_reader, [=] {
                bufferevent_set_max_single_read(taken.bev, limit);
                say(length);
            });
}

void closed_while_it_is_written(void **)
{
    static const std::string bytes(1000, 'w');
    talk_beside_at_each_place(open_reader, [] { bufferevent_write(taken.bev, bytes.data(), bytes.size()); });
}

void a_file_closed_while_it_is_used(void **)
{
    talk_beside_at_each_place(open_file_reader, [] {
        said = "for a file";
        fake::file_peer_writes(reinterpret_cast<HANDLE>(taken.socket), said);
    });
    talk_beside_at_each_place(open_file_reader, [] { bufferevent_write(taken.bev, "by a file", 9); });
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
        cmocka_unit_test_setup(closed_while_it_is_read, set_up),
        cmocka_unit_test_setup(closed_while_it_is_written, set_up),
        cmocka_unit_test_setup(a_file_closed_while_it_is_used, set_up),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    return cmocka_run_group_tests_name("stream release", tests, nullptr, nullptr);
}
