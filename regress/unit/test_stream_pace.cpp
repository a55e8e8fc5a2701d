// When a bufferevent's receives are started: neither so early that they wait for what comes by itself, nor so late that
// somebody is kept waiting.
#include "support/check.h"

#include "support/bases.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

struct connection {
    struct bufferevent *bev;
    SOCKET socket;
    std::string read;
};

void on_read(struct bufferevent *bev, void *argument)
{
    char bytes[512];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        static_cast<connection *>(argument)->read.append(bytes, got);
}

void open_connection(connection *one, struct event_base *base, int options, bufferevent_data_cb reader)
{
    one->socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(one->socket);
    one->bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(one->socket), options);
    bufferevent_setcb(one->bev, reader, nullptr, nullptr, one);
}

void free_connection(connection *one)
{
    bool closes = (BEV_UPCAST(one->bev)->options & BEV_OPT_CLOSE_ON_FREE) != 0;
    bufferevent_free(one->bev);
    if (!closes)
        fake::close_by_program(one->socket);
}

// Data are there whenever the connection's turn comes: then a message costs one receive call, and not one to wait and
// one to take.
void a_busy_connection_costs_one_receive_a_message(void **)
{
    constexpr uint64_t warm_up = 10, messages = 50;
    fake::boot(1);
    struct event_base *base = make_base(on_iocp);
    connection one;
    open_connection(&one, base, BEV_OPT_CLOSE_ON_FREE, on_read);
    std::string sent;
    bufferevent_enable(one.bev, EV_READ);
    uint64_t before = 0;
    for (uint64_t message = 0; message < warm_up + messages; ++message) {
        if (message == warm_up)
            before = fake::calls(fake::call::receive) + fake::calls(fake::call::receive_now);
        sent += "a message";
        fake::peer_sends(one.socket, "a message");
        for (int turns = 0; turns < 20 && one.read != sent; ++turns) {
            event_base_loop(base, EVLOOP_ONCE);
            on_read(one.bev, &one);
        }
        assert_true(one.read == sent);
    }
    assert_int_equal(fake::calls(fake::call::receive) + fake::calls(fake::call::receive_now) - before, messages);
    free_connection(&one);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void answer(struct bufferevent *bev, void *argument)
{
    on_read(bev, argument);
    bufferevent_write(bev, "an answer", 9);
}

// The peer says the next thing when it has the answer. What a counter says of that, once it is warm.
uint64_t counted_in_a_conversation(uint64_t (*counter)(struct event_base *))
{
    constexpr uint64_t warm_up = 10, messages = 200;
    struct event_base *base = make_base(on_iocp);
    connection one;
    open_connection(&one, base, BEV_OPT_CLOSE_ON_FREE, answer);
    bufferevent_enable(one.bev, EV_READ | EV_WRITE);
    uint64_t before = 0;
    for (uint64_t message = 0; message < warm_up + messages; ++message) {
        if (message == warm_up)
            before = counter(base);
        size_t answered = fake::sent(one.socket).size();
        fake::peer_sends(one.socket, "a message");
        for (int turns = 0; turns < 20 && fake::sent(one.socket).size() == answered; ++turns)
            event_base_loop(base, EVLOOP_ONCE);
        assert_true(fake::sent(one.socket).size() > answered);
    }
    uint64_t counted = counter(base) - before;
    free_connection(&one);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
    return counted;
}

// No receive is started before the answer is sent, not even when the port has to be looked at, since it would wait, and
// cost a packet.
void a_conversation_costs_no_packets(void **)
{
    auto packets = [](struct event_base *base) { return backend_of(base)->loop.packets; };
    assert_int_equal(counted_in_a_conversation(packets), 0);
}

// With nothing in flight a look at the port could bring nothing, and nobody asks the clock whether it is time for one.
void the_clock_is_asked_where_a_look_may_bring_something(void **)
{
    auto clock_reads = [](struct event_base *) { return fake::clock_reads(); };
    assert_int_equal(counted_in_a_conversation(clock_reads), 0);
}

// A connection that has something to read in every turn, for so many turns.
void open_greedy(connection *greedy, struct event_base *base, size_t turns)
{
    open_connection(greedy, base, BEV_OPT_CLOSE_ON_FREE, on_read);
    bufferevent_enable(greedy->bev, EV_READ);
    fake::peer_sends(greedy->socket, "warm up");
    turn_to_port(base);
    turn_to_port(base);
    bufferevent_set_max_single_read(greedy->bev, 1); // all is received at once, one byte of it read at a time
    fake::peer_sends(greedy->socket, std::string(turns, 'x'));
    turn_to_port(base);
}

// Another's receive is not to wait for the end of that, also if its interest changes all the time.
void beside_greedy(bool writes)
{
    fake::boot(1);
    struct event_base *base = make_base(on_iocp);
    connection greedy, patient;
    open_greedy(&greedy, base, 2 * max_turns_without_look + 100);
    open_connection(&patient, base, BEV_OPT_CLOSE_ON_FREE, on_read);
    bufferevent_enable(patient.bev, EV_READ | EV_WRITE);
    fake::peer_sends(patient.socket, "at last");
    unsigned turns = 0;
    for (; patient.read.empty(); ++turns) {
        assert_true(turns <= max_turns_without_look + max_turns_held_back + 1);
        if (writes)
            bufferevent_write(patient.bev, "x", 1);
        event_base_loop(base, EVLOOP_ONCE);
    }
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fake::sent(patient.socket).size() >= turns - 1, writes);
    free_connection(&greedy);
    free_connection(&patient);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void what_is_always_ready_holds_back_no_receive(void **)
{
    beside_greedy(false);
    beside_greedy(true);
}

// One that always finds something when it is started, one start a turn: another keeps its place, though it writes.
void a_place_in_the_queue_is_kept(void **)
{
    struct event_base *base = make_base(on_iocp);
    connection lucky, patient;
    for (connection *one : {&lucky, &patient}) {
        open_connection(one, base, BEV_OPT_CLOSE_ON_FREE, on_read);
        bufferevent_enable(one->bev, EV_READ | EV_WRITE);
    }
    fake::peer_sends(lucky.socket, "warm up");
    turn_to_port(base);
    fake::peer_sends(patient.socket, "warm up");
    turn_to_port(base);
    patient.read.clear();
    fake::peer_sends(patient.socket, "at last");
    for (int rounds = 0; patient.read.empty(); ++rounds) {
        assert_true(rounds < 10);
        bufferevent_write(patient.bev, "y", 1);
        event_base_loop(base, EVLOOP_ONCE);
        fake::peer_sends(lucky.socket, "x");
        backend_of(base)->loop.receive_pace.left_out = max_finds - 1;
        event_base_loop(base, EVLOOP_ONCE);
    }
    free_connection(&lucky);
    free_connection(&patient);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// Two that write while they wait, and so come to the front each time, and always find something: who does not write is
// overtaken, but not for ever.
void nobody_is_overtaken_for_ever(void **)
{
    struct event_base *base = make_base(on_iocp);
    connection busy[2], patient;
    for (connection *one : {&busy[0], &busy[1], &patient}) {
        open_connection(one, base, BEV_OPT_CLOSE_ON_FREE, on_read);
        bufferevent_enable(one->bev, EV_READ | EV_WRITE);
        fake::peer_sends(one->socket, "warm up");
        turn_to_port(base);
    }
    for (connection *one : {&busy[0], &busy[1], &patient})
        fake::peer_sends(one->socket, "now all wait to receive again");
    for (patient.read.clear(); patient.read.empty();)
        event_base_loop(base, EVLOOP_ONCE);
    patient.read.clear();
    fake::peer_sends(patient.socket, "at last");
    for (unsigned rounds = 0; patient.read.empty(); ++rounds) {
        assert_true(rounds < 2 * max_turns_overtaken);
        for (connection &one : busy)
            bufferevent_write(one.bev, "y", 1);
        event_base_loop(base, EVLOOP_ONCE);
        for (connection &one : busy)
            fake::peer_sends(one.socket, "x");
        backend_of(base)->loop.receive_pace.left_out = max_finds - 1;
        event_base_loop(base, EVLOOP_ONCE);
    }
    for (connection *one : {&busy[0], &busy[1], &patient})
        free_connection(one);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// Sends in every turn, a byte at a time.
void open_sender(connection *sender, struct event_base *base, size_t turns)
{
    open_connection(sender, base, BEV_OPT_CLOSE_ON_FREE, nullptr);
    bufferevent_set_max_single_write(sender->bev, 1);
    bufferevent_enable(sender->bev, EV_WRITE);
    std::string all(turns, 'x');
    bufferevent_write(sender->bev, all.data(), all.size());
}

// Who sends to another of the same base does not get ahead of it: what is on its way between them stays little.
void a_sender_lets_others_receive_between_two_sends(void **)
{
    constexpr size_t turns = 200, ahead = 2;
    struct event_base *base = make_base(on_iocp);
    connection sender, receiver;
    open_connection(&receiver, base, BEV_OPT_CLOSE_ON_FREE, on_read);
    bufferevent_enable(receiver.bev, EV_READ);
    fake::peer_sends(receiver.socket, "warm up");
    turn_to_port(base);
    turn_to_port(base);
    receiver.read.clear();
    open_sender(&sender, base, turns);
    for (size_t passed_on = 0; passed_on < turns;) {
        event_base_loop(base, EVLOOP_ONCE);
        size_t sent = fake::sent(sender.socket).size();
        fake::peer_sends(receiver.socket, std::string(sent - passed_on, 'x'));
        passed_on = sent;
        assert_in_range(receiver.read.size() + ahead, sent, turns + ahead);
    }
    free_connection(&sender);
    free_connection(&receiver);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// Nor plain events, which are looked at whenever the port is.
void beside_plain_events(void (*open)(connection *busy, struct event_base *base, size_t turns))
{
    fake::boot(1);
    struct event_base *base = make_base(on_iocp);
    connection greedy;
    open(&greedy, base, 20 * max_turns_without_look);
    counted *plain[2];
    for (counted *&one : plain) {
        SOCKET socket = fake::open_socket(fake::kind::stream, sys::afd_receive);
        one = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ | EV_PERSIST);
        event_add(one->registered, nullptr);
    }
    for (int round = 0; round < 10; ++round) {
        int before = plain[1]->count;
        for (unsigned turns = 0; plain[1]->count == before; ++turns) {
            assert_true(turns <= max_turns_without_look + max_turns_held_back + 1);
            event_base_loop(base, EVLOOP_ONCE);
        }
    }
    for (counted *one : plain)
        free_counted(one);
    free_connection(&greedy);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void what_is_always_ready_holds_back_no_plain_event(void **)
{
    beside_plain_events(open_greedy);
    beside_plain_events(open_sender);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_busy_connection_costs_one_receive_a_message, set_up_kernel),
        cmocka_unit_test_setup(a_conversation_costs_no_packets, set_up_kernel),
        cmocka_unit_test_setup(the_clock_is_asked_where_a_look_may_bring_something, set_up_kernel),
        cmocka_unit_test_setup(what_is_always_ready_holds_back_no_receive, set_up_kernel),
        cmocka_unit_test_setup(nobody_is_overtaken_for_ever, set_up_kernel),
        cmocka_unit_test_setup(a_sender_lets_others_receive_between_two_sends, set_up_kernel),
        cmocka_unit_test_setup(what_is_always_ready_holds_back_no_plain_event, set_up_kernel),
        cmocka_unit_test_setup(a_place_in_the_queue_is_kept, set_up_kernel),
    };
    return cmocka_run_group_tests_name("stream_pace", tests, nullptr, nullptr);
}
