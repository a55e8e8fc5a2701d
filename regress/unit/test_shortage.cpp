// A second of shortage (WSAENOBUFS, WSAEMFILE) on the fake kernel, wherever the kernel may have one: it is told of at a
// bounded rate, nobody spins meanwhile, and afterwards everything goes on with nothing lost.
#include "support/check.h"

#include <functional>

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/guard.h"

#include "bufferevent/acceptor.h"

using namespace iocp;

namespace {

constexpr int64_t shortage_us = 1000 * 1000;
constexpr int max_errors = 50;
// Looks at the port in that second. Each connection tries again every 10 ms, which takes two.
constexpr uint64_t max_looks = 250;
constexpr unsigned for_ever = 1000000;

struct event_base *base;
int errors;
int last_error;
std::vector<SOCKET> accepted;
int last_port;

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *address, int, void *)
{
    last_port = ntohs(reinterpret_cast<const struct sockaddr_in *>(address)->sin_port);
    accepted.push_back(static_cast<SOCKET>(fd));
    evutil_closesocket(fd);
}

void on_error(struct evconnlistener *, void *)
{
    last_error = EVUTIL_SOCKET_ERROR();
    ++errors;
}

void run_for(int64_t us)
{
    struct timeval span = {static_cast<long>(us / 1000000), static_cast<long>(us % 1000000)};
    event_base_loopexit(base, &span);
    event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

// The loop runs by itself through a second in which the calls fail, and for as long after it as it may take to go on:
// nothing else wakes it then.
void go_short(fake::call which, int error, const std::function<void()> &at_its_end)
{
    uint64_t looks = fake::calls(fake::call::port_dequeue);
    uint64_t tries = fake::calls(which);
    fake::fail_calls(which, error, for_ever);
    fake::at(fake::now_us() + shortage_us, [&] {
        fake::fail_calls(which, 0, 0);
        assert_true(fake::calls(which) > tries);
        at_its_end();
    });
    run_for(shortage_us + 2 * shortage_pause_us);
    assert_true(fake::calls(fake::call::port_dequeue) - looks <= max_looks);
    assert_true(fake::calls(which) - tries <= max_looks);
}

struct evconnlistener *listen_at(SOCKET socket)
{
    return evconnlistener_new(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 0, static_cast<evutil_socket_t>(socket));
}

// The first in this process to ask whether there is an AcceptEx finds no socket to ask with. Its listener does without;
// later ones, and connects, do not.
void extensions(void **)
{
    base = make_base(on_iocp);
    fake::fail_calls(fake::call::find_extensions, WSAENOBUFS);
    SOCKET first = fake::open_socket(fake::kind::listener), second = fake::open_socket(fake::kind::listener);
    struct evconnlistener *without = listen_at(first), *with = listen_at(second);
    turn_to_port(base);
    assert_int_equal(fake::accepts_waiting(first), 0);
    assert_int_equal(fake::accepts_waiting(second), min_accepts);
    assert_int_equal(fake::calls(fake::call::find_extensions), 2);
    evconnlistener_free(without);
    evconnlistener_free(with);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// Which of the calls that bring connections are short. What one of them cannot bring, the other may.
enum class short_of { starts, backlog, both };

void accepts_go_short(short_of what, fake::call start, int error)
{
    fake::boot(1);
    base = make_base(on_iocp);
    errors = 0;
    accepted.clear();
    SOCKET socket = fake::open_socket(fake::kind::listener);
    struct evconnlistener *listener = listen_at(socket);
    evconnlistener_set_error_cb(listener, on_error);
    turn_to_port(base);
    for (uint16_t port = 1; port <= 5; ++port)
        fake::client_arrives(socket, {port, fake::fate_taken, ""});
    if (what == short_of::both)
        fake::fail_calls(start, error, for_ever);
    go_short(what == short_of::starts ? start : fake::call::accept_now, error, [=] {
        // Those that were in flight before have come in any case.
        assert_int_equal(accepted.size(), what == short_of::both ? min_accepts : 5u);
        fake::fail_calls(start, 0, 0);
    });
    if (what == short_of::starts) {
        assert_int_equal(errors, 0); // accept() has brought all
    } else {
        assert_true(errors >= 1 && errors <= max_errors);
        assert_int_equal(last_error, error);
    }
    assert_int_equal(accepted.size(), 5);
    const acceptor *own = acceptor_find(backend_of(base), static_cast<evutil_socket_t>(socket));
    assert_int_equal(fake::accepts_waiting(socket), own->depth);
    fake::client_arrives(socket, {6, fake::fate_taken, ""});
    turn_to_port(base);
    turn_to_port(base);
    assert_int_equal(accepted.size(), 6);
    evconnlistener_free(listener);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void accepts(void **)
{
    for (int error : {WSAENOBUFS, WSAEMFILE})
        for (fake::call start : {fake::call::accept, fake::call::socket_like})
            for (short_of what : {short_of::starts, short_of::backlog, short_of::both})
                accepts_go_short(what, start, error);
}

// Clients that come while no accept can be started are taken from the backlog: late, but before it is over.
void backlog_is_taken_in_a_shortage(void **)
{
    base = make_base(on_iocp);
    errors = 0;
    accepted.clear();
    SOCKET socket = fake::open_socket(fake::kind::listener);
    struct evconnlistener *listener = listen_at(socket);
    evconnlistener_set_error_cb(listener, on_error);
    fake::fail_calls(fake::call::socket_like, WSAEMFILE, for_ever);
    turn_to_port(base);
    for (uint16_t port = 1; port <= 5; ++port)
        fake::at(fake::now_us() + port * shortage_us / 10, [=] {
            fake::client_arrives(socket, {port, fake::fate_taken, ""});
        });
    go_short(fake::call::socket_like, WSAEMFILE, [] { assert_int_equal(accepted.size(), 5); });
    assert_int_equal(errors, 0);
    evconnlistener_free(listener);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// A connection that has come, and that its last steps find no memory for, is lost, which its listener is told.
void last_steps(void **)
{
    constexpr uint16_t clients = 2;
    for (fake::call step : {fake::call::finish_accept, fake::call::set_blocking, fake::call::accept_addresses}) {
        fake::boot(1);
        base = make_base(on_iocp);
        errors = 0;
        accepted.clear();
        SOCKET socket = fake::open_socket(fake::kind::listener);
        struct evconnlistener *listener = listen_at(socket);
        evconnlistener_set_error_cb(listener, on_error);
        turn_to_port(base);
        // (Who is asked for an address alone may be spared: the socket knows it, too.)
        int lost = step == fake::call::accept_addresses ? 0 : 1;
        fake::fail_calls(step, WSAENOBUFS, lost != 0 ? 1 : clients);
        for (uint16_t port = 1; port <= clients; ++port)
            fake::client_arrives(socket, {port, fake::fate_taken, ""});
        run_for(shortage_pause_us / 2);
        assert_int_equal(errors, lost);
        assert_int_equal(accepted.size(), clients - lost);
        assert_int_equal(last_port, clients);
        evconnlistener_free(listener);
        event_base_free(base);
        assert_null(fake::complaint_after_free());
    }
}

// Accepts in flight that end one by one for want of memory are one shortage.
void accepts_that_end_short(void **)
{
    constexpr int rounds = 40;
    constexpr int64_t round_us = 1000;
    base = make_base(on_iocp);
    errors = 0;
    accepted.clear();
    SOCKET socket = fake::open_socket(fake::kind::listener);
    struct evconnlistener *listener = listen_at(socket);
    evconnlistener_set_error_cb(listener, on_error);
    // Many in flight, first.
    for (int burst = 0; burst < 20; ++burst) {
        for (uint16_t port = 1; port <= 300; ++port)
            fake::client_arrives(socket, {port, fake::fate_taken, ""});
        while (fake::clients_waiting(socket) > 0)
            turn_to_port(base);
    }
    turn_to_port(base); // accepts are started again
    turn_to_port(base);
    assert_int_equal(accepted.size(), 20 * 300);
    assert_true(fake::accepts_waiting(socket) > rounds);
    for (int i = 0; i < rounds; ++i) {
        fake::client_arrives(socket, {static_cast<uint16_t>(2000 + i), fake::fate_shortage, ""});
        run_for(round_us);
    }
    assert_int_equal(errors, 1);
    static_assert(rounds * round_us < shortage_pause_us, "all within one pause");
    accepted.clear();
    fake::client_arrives(socket, {1, fake::fate_taken, ""});
    run_for(2 * shortage_pause_us);
    assert_int_equal(accepted.size(), 1);
    evconnlistener_free(listener);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

struct conversation {
    SOCKET socket;
    struct bufferevent *bev;
    std::string heard;
    int events;
};

void on_read(struct bufferevent *bev, void *argument)
{
    char bytes[512];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        static_cast<conversation *>(argument)->heard.append(bytes, got);
}

void on_event(struct bufferevent *, short, void *argument)
{
    ++static_cast<conversation *>(argument)->events;
}

// A connection that has said something before, or not. Returns that.
std::string begin_conversation(conversation *one, bool warm)
{
    fake::boot(1);
    base = make_base(on_iocp);
    *one = {fake::open_socket(fake::kind::stream), nullptr, "", 0};
    fake::connect_now(one->socket);
    one->bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(one->socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(one->bev, on_read, nullptr, on_event, one);
    bufferevent_enable(one->bev, EV_READ | EV_WRITE);
    turn_to_port(base); // its first receive waits, before it has written anything
    std::string said;
    for (int i = 0; warm && i < 3; ++i) {
        fake::peer_sends(one->socket, "before ");
        said += "before ";
        run_for(1000);
    }
    return said;
}

void end_conversation(const conversation &one)
{
    assert_int_equal(one.events, 0);
    bufferevent_free(one.bev);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void conversation_goes_short(fake::call which, bool warm, int error = WSAENOBUFS)
{
    conversation one;
    std::string said = begin_conversation(&one, warm), written;
    for (int i = 0; i < 10; ++i)
        fake::at(fake::now_us() + i * shortage_us / 10, [&] {
            std::string bytes(300, 'x');
            fake::peer_sends(one.socket, bytes);
            said += bytes;
            bufferevent_write(one.bev, bytes.data(), bytes.size());
            written += bytes;
        });
    go_short(which, error, [] {});
    assert_true(one.heard == said);
    assert_true(fake::sent(one.socket) == written);
    end_conversation(one);
}

void conversations(void **)
{
    for (fake::call which : {fake::call::receive, fake::call::receive_now, fake::call::send})
        for (bool warm : {false, true})
            if (which != fake::call::receive_now || !warm) // who is warm receives into a buffer from the first
                conversation_goes_short(which, warm);
    for (fake::call which : {fake::call::receive, fake::call::receive_now, fake::call::send})
        conversation_goes_short(which, false, WSAEMFILE);
}

// A receive that could start, and ends so by its packet: nobody is told, and the kernel still has the bytes.
void receives_that_end_short(void **)
{
    for (bool warm : {false, true}) {
        conversation one;
        std::string said = begin_conversation(&one, warm);
        fake::set_next_status(fake::fate_shortage);
        uint64_t looks = fake::calls(fake::call::port_dequeue);
        fake::peer_sends(one.socket, "at last");
        run_for(30 * 1000);
        assert_true(one.heard == said + "at last");
        assert_true(fake::calls(fake::call::port_dequeue) - looks <= 10);
        end_conversation(one);
    }
}

// A plain event whose poll finds no device to be started on.
void polls_go_short(fake::call which, int error)
{
    fake::boot(1);
    base = make_base(on_iocp);
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    counted *reader = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ);
    event_add(reader->registered, nullptr);
    go_short(which, error, [] {});
    assert_int_equal(reader->count, 0);
    fake::peer_sends(socket, "some bytes");
    run_for(1000);
    assert_int_equal(reader->count, 1);
    free_counted(reader);
    fake::close_by_program(socket);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void polls(void **)
{
    for (int error : {WSAENOBUFS, WSAEMFILE})
        polls_go_short(fake::call::afd_open, error);
    for (int error : {ERROR_NOT_ENOUGH_QUOTA, ERROR_WORKING_SET_QUOTA, ERROR_COMMITMENT_LIMIT, ERROR_OUTOFMEMORY})
        for (fake::call which : {fake::call::port_associate, fake::call::skip_packet_on_success})
            polls_go_short(which, error);
}

// Nothing is half made when there is no memory for it, and the socket is still the program's.
void a_listener_goes_without_memory(unsigned flags)
{
    base = make_base(on_iocp);
    accepted.clear();
    SOCKET socket = fake::open_socket(fake::kind::listener);
    struct evconnlistener *made = nullptr;
    unsigned failures = 0;
    for (; made == nullptr && failures < 20; ++failures) {
        guard::fail_allocations(failures, 1);
        made = evconnlistener_new(base, on_accept, nullptr, flags, 0, static_cast<evutil_socket_t>(socket));
        guard::fail_allocations(0, 0);
        assert_true(fake::is_open(socket));
    }
    assert_true(failures >= 3);
    assert_int_equal(evconnlistener_enable(made), 0); // libevent does not tell if that failed before
    fake::client_arrives(socket, {1, fake::fate_taken, ""});
    run_for(30 * 1000);
    assert_int_equal(accepted.size(), 1);
    evconnlistener_free(made);
    assert_true(fake::is_open(socket) == (flags == 0));
    if (flags == 0)
        fake::close_by_program(socket);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void a_listener_without_memory(void **)
{
    for (unsigned flags : {0u, static_cast<unsigned>(LEV_OPT_CLOSE_ON_FREE)})
        a_listener_goes_without_memory(flags);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(extensions, set_up_kernel), // while nobody has asked
        cmocka_unit_test_setup(accepts, set_up_kernel),
        cmocka_unit_test_setup(backlog_is_taken_in_a_shortage, set_up_kernel),
        cmocka_unit_test_setup(last_steps, set_up_kernel),
        cmocka_unit_test_setup(accepts_that_end_short, set_up_kernel),
        cmocka_unit_test_setup(conversations, set_up_kernel),
        cmocka_unit_test_setup(receives_that_end_short, set_up_kernel),
        cmocka_unit_test_setup(polls, set_up_kernel),
        cmocka_unit_test_setup(a_listener_without_memory, set_up_kernel),
    };
    return cmocka_run_group_tests_name("shortage", tests, nullptr, nullptr);
}
