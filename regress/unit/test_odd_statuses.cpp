// Operations on the fake kernel that end by any status at all: a program is told once, by a code that it knows, or the
// operation is repeated; nothing hangs, leaks or is told of as a success.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

using namespace iocp;

namespace {

constexpr uint64_t seeds = 300;
constexpr int max_turns = 100;

struct heard {
    size_t bytes;
    int connected;
    int errors;
    int ends;
    int error;
};

struct event_base *base;
uint64_t running_seed;

void fails(const char *what)
{
    fail_msg("%s, seed %u", what, static_cast<unsigned>(running_seed));
}

void on_read(struct bufferevent *bev, void *argument)
{
    struct evbuffer *input = bufferevent_get_input(bev);
    static_cast<heard *>(argument)->bytes += evbuffer_get_length(input);
    evbuffer_drain(input, evbuffer_get_length(input));
}

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *of = static_cast<heard *>(argument);
    int error = EVUTIL_SOCKET_ERROR();
    of->connected += (what & BEV_EVENT_CONNECTED) != 0;
    of->ends += (what & BEV_EVENT_EOF) != 0;
    if ((what & BEV_EVENT_ERROR) == 0)
        return;
    ++of->errors;
    of->error = error;
    if (error < WSABASEERR && error != WSA_OPERATION_ABORTED)
        fails("a program is told of a code that is not Winsock's");
}

struct bufferevent *talk_on(SOCKET socket, heard *by)
{
    *by = heard();
    auto fd = static_cast<evutil_socket_t>(socket);
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_read, nullptr, on_event, by);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return bev;
}

template <typename Condition> void turn_until(Condition holds, const char *otherwise)
{
    for (int turns = 0; turns < max_turns && !holds(); ++turns) {
        fake::advance_us(20 * 1000);
        turn(base);
    }
    if (!holds())
        fails(otherwise);
}

void open_world(uint64_t seed)
{
    fake::chances odds = fake::all_chances;
    odds.odd_status = 300;
    odds.thread_ends = 0;
    fake::boot(running_seed = seed, odds);
    base = make_base(on_iocp);
}

void close_world()
{
    event_base_free(base);
    if (fake::complaint_after_free() != nullptr)
        fails("the fake kernel complains");
}

void transfers(void **)
{
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        open_world(seed);
        SOCKET socket = fake::open_socket(fake::kind::stream);
        fake::connect_now(socket);
        heard by;
        struct bufferevent *bev = talk_on(socket, &by);
        size_t written = 0;
        for (int round = 0; round < 5; ++round) {
            fake::peer_sends(socket, "some bytes");
            bufferevent_write(bev, "others", 6);
            written += 6;
            fake::advance_us(1000);
            turn(base);
        }
        if (by.ends > 0 && !fake::k().any_aborted)
            fails("told of an end that has not come: a failure is no success of no bytes");
        fake::peer_finishes(socket);
        turn_until([&] { return by.errors + by.ends > 0; }, "an operation that failed is never told of");
        if (by.ends > 1)
            fails("one end is told of twice");
        if (fake::sent(socket).size() > written)
            fails("bytes are sent twice");
        bufferevent_free(bev);
        close_world();
    }
}

// As evbuffer_read has it on Windows: the connection has ended.
void a_connection_that_was_aborted_has_ended(void **)
{
    for (bool in_call : {false, true}) {
        fake::boot(1);
        base = make_base(on_iocp);
        SOCKET socket = fake::open_socket(fake::kind::stream);
        fake::connect_now(socket);
        heard by;
        struct bufferevent *bev = talk_on(socket, &by);
        turn(base);
        if (in_call)
            fake::fail_calls(fake::call::receive_now, WSAECONNABORTED);
        else
            fake::set_next_status(static_cast<nt_status>(0xC0000241));
        fake::peer_sends(socket, "some bytes");
        turn_until([&] { return by.errors + by.ends > 0; }, "an aborted connection is never told of");
        assert_int_equal(by.ends, 1);
        assert_int_equal(by.errors, 0);
        bufferevent_free(bev);
        close_world();
    }
}

const struct sockaddr_in somebody = {AF_INET, 0x0700, {}, {}};

// For as long as a socket is not connected, that a receive says so is no news. Of one that was it is the end of it.
void one_that_was_connected_and_is_not(void **)
{
    for (bool connects : {false, true})
        for (bool in_call : {false, true}) {
            fake::boot(1);
            base = make_base(on_iocp);
            fake::set_connect_result(0);
            SOCKET socket = fake::open_socket(fake::kind::stream);
            if (!connects)
                fake::connect_now(socket);
            heard by;
            struct bufferevent *bev = talk_on(socket, &by);
            if (connects)
                bufferevent_socket_connect(bev, reinterpret_cast<const struct sockaddr *>(&somebody), sizeof(somebody));
            turn(base);
            turn(base);
            assert_int_equal(by.connected, connects);
            fake::peer_sends(socket, "some bytes");
            turn_until([&] { return by.bytes > 0; }, "nothing is heard");
            if (in_call)
                fake::fail_calls(fake::call::receive, WSAENOTCONN);
            turn_to_port(base);
            if (!in_call)
                fake::set_next_status(static_cast<nt_status>(0xC000023A));
            fake::peer_sends(socket, "others");
            turn_until([&] { return by.errors > 0; }, "a connection that is none any more is never told of");
            assert_int_equal(by.error, WSAENOTCONN);
            bufferevent_free(bev);
            close_world();
        }
}

// It reads before, and is told of the refusal alone.
void one_that_was_never_connected(void **)
{
    fake::boot(1);
    base = make_base(on_iocp);
    fake::set_connect_result(fake::status_refused);
    heard by;
    struct bufferevent *bev = talk_on(fake::open_socket(fake::kind::stream), &by);
    bufferevent_socket_connect(bev, reinterpret_cast<const struct sockaddr *>(&somebody), sizeof(somebody));
    turn_until([&] { return by.errors > 0; }, "a refusal is never told of");
    bufferevent_enable(bev, EV_READ);
    for (int i = 0; i < 10; ++i)
        turn_to_port(base);
    assert_int_equal(by.errors, 1);
    assert_int_equal(by.error, WSAECONNREFUSED);
    bufferevent_free(bev);
    close_world();
}

void connects(void **)
{
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        open_world(seed);
        fake::set_connect_result(0);
        heard by;
        struct bufferevent *bev = talk_on(fake::open_socket(fake::kind::stream), &by);
        if (bufferevent_socket_connect(bev, reinterpret_cast<const struct sockaddr *>(&somebody), sizeof(somebody)) ==
            0)
            turn_until([&] { return by.errors + by.connected > 0; }, "a connect is never told of");
        if (by.connected > 0 && !sys::is_connected(static_cast<SOCKET>(bufferevent_getfd(bev))))
            fails("told of a connection that is none");
        bufferevent_free(bev);
        close_world();
    }
}

int accepted;

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    if (!sys::is_connected(static_cast<SOCKET>(fd)))
        fails("a connection that is none is handed over");
    ++accepted;
    evutil_closesocket(fd);
}

// A listener outlives whatever its accepts end with.
void accepts(void **)
{
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        open_world(seed);
        accepted = 0;
        SOCKET socket = fake::open_socket(fake::kind::listener);
        struct evconnlistener *listener = evconnlistener_new(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 0,
                                                             static_cast<evutil_socket_t>(socket));
        for (uint16_t port = 1; port <= 10; ++port) {
            fake::client_arrives(socket, {port, fake::fate_taken, ""});
            turn(base);
        }
        fake::k().odds.odd_status = 0;
        turn_until([&] { return fake::clients_waiting(socket) == 0; }, "a listener accepts no more");
        int before = accepted;
        fake::client_arrives(socket, {11, fake::fate_taken, ""});
        turn_until([&] { return accepted > before; }, "a listener accepts no more");
        evconnlistener_free(listener);
        close_world();
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transfers),
        cmocka_unit_test(a_connection_that_was_aborted_has_ended),
        cmocka_unit_test(one_that_was_connected_and_is_not),
        cmocka_unit_test(one_that_was_never_connected),
        cmocka_unit_test(connects),
        cmocka_unit_test(accepts),
    };
    evthread_use_windows_threads();
    catch_log();
    return cmocka_run_group_tests_name("odd statuses", tests, nullptr, nullptr);
}
