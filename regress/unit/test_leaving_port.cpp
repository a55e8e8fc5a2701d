// Sockets that a bufferevent leaves open, on the fake kernel: where Windows can do that they are off the base's port,
// for another base or a port of the program's own; where it cannot, or bytes are on their way, they stay, and are
// polled.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

using namespace iocp;

namespace {

struct event_base *base;
struct event_base *another;
std::string heard;
int connected;

void on_read(struct bufferevent *bev, void *)
{
    char bytes[64];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        heard.append(bytes, got);
}

void on_event(struct bufferevent *, short what, void *)
{
    connected += (what & BEV_EVENT_CONNECTED) != 0;
}

struct bufferevent *on(struct event_base *whose, SOCKET socket, int options)
{
    struct bufferevent *bev = bufferevent_socket_new(whose, static_cast<evutil_socket_t>(socket), options);
    bufferevent_setcb(bev, on_read, nullptr, on_event, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return bev;
}

void turns(struct event_base *whose, int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(whose);
    }
}

SOCKET connected_socket()
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    return socket;
}

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    heard.clear();
    connected = 0;
    base = make_base(on_iocp);
    another = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    event_base_free(base);
    event_base_free(another);
    return check_nothing_is_left();
}

// On the other base it converses by overlapped operations if `natively`, else by readiness.
void check_converses(SOCKET socket, bool natively)
{
    heard.clear();
    struct bufferevent *bev = on(another, socket, BEV_OPT_CLOSE_ON_FREE);
    uint64_t before = fake::calls(fake::call::receive);
    bufferevent_write(bev, "asked", 5);
    fake::peer_sends(socket, "answered");
    turns(another, 10);
    assert_string_equal(heard.c_str(), "answered");
    assert_string_equal(fake::sent(socket).c_str(), "asked");
    assert_int_equal(fake::calls(fake::call::receive) > before, natively);
    bufferevent_free(bev);
    turns(another, 2);
    assert_false(fake::is_open(socket));
}

// Idle, with a receive in flight that has no buffer, or one.
void taken_back_from_its_bufferevent(void **)
{
    for (int warm = 0; warm < 2; ++warm) {
        SOCKET socket = connected_socket();
        struct bufferevent *bev = on(base, socket, BEV_OPT_CLOSE_ON_FREE);
        if (warm != 0)
            fake::peer_sends(socket, "first");
        turns(base, 3);
        assert_true(fake::is_on_port(socket));
        assert_int_equal(fake::operations_in_flight(), 1);
        bufferevent_setfd(bev, -1);
        assert_false(fake::is_on_port(socket));
        assert_int_equal(fake::operations_in_flight(), 0);
        check_converses(socket, true);
        bufferevent_free(bev);
    }
}

void connect_on(SOCKET socket, struct bufferevent *bev)
{
    struct sockaddr_in peer = fake::loopback(7);
    assert_int_equal(bufferevent_socket_connect(bev, reinterpret_cast<struct sockaddr *>(&peer), sizeof(peer)), 0);
    turns(base, 3);
    assert_int_equal(connected, 1);
    assert_true(fake::is_whole(socket));
}

// A bufferevent that does not close its socket has it on the port for its connect alone.
void connected_for_its_program(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    struct bufferevent *bev = on(base, socket, 0);
    connect_on(socket, bev);
    assert_false(fake::is_on_port(socket));
    fake::peer_sends(socket, "word");
    turns(base, 3);
    assert_string_equal(heard.c_str(), "word");
    bufferevent_free(bev);
    HANDLE own;
    assert_int_equal(sys::port_create(&own, 1), 0);
    assert_int_equal(sys::port_associate(own, reinterpret_cast<HANDLE>(socket), 0), 0);
    fake::close_by_program(socket);
    sys::close_handle(own);
}

// Under Wine, and before Windows 8.1.
void where_there_is_no_way_back(void **)
{
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED, 100);
    SOCKET socket = connected_socket();
    struct bufferevent *bev = on(base, socket, BEV_OPT_CLOSE_ON_FREE);
    turns(base, 3);
    bufferevent_setfd(bev, -1);
    assert_true(fake::is_on_port(socket));
    bufferevent_setfd(bev, static_cast<evutil_socket_t>(socket)); // its own base has it as before
    fake::peer_sends(socket, "here");
    turns(base, 5);
    assert_string_equal(heard.c_str(), "here");
    bufferevent_setfd(bev, -1);
    check_converses(socket, false);
    bufferevent_free(bev);
}

// Nothing may be in flight, says Microsoft; a send is not called back, and goes on.
void with_a_send_in_flight(void **)
{
    SOCKET socket = connected_socket();
    fake::set_send_room(socket, 0);
    struct bufferevent *bev = on(base, socket, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_write(bev, "slowly", 6);
    turns(base, 3);
    bufferevent_setfd(bev, -1);
    assert_int_equal(fake::calls(fake::call::leave_port), 0);
    assert_true(fake::is_on_port(socket));
    fake::set_send_room(socket, SIZE_MAX);
    turns(base, 2);
    assert_string_equal(fake::sent(socket).c_str(), "slowly");
    bufferevent_free(bev);
    fake::close_by_program(socket);
}

// Bytes that were received and not read are kept with the socket, for the base's next bufferevent on it.
void with_bytes_kept(void **)
{
    SOCKET socket = connected_socket();
    struct bufferevent *bev = on(base, socket, BEV_OPT_CLOSE_ON_FREE);
    fake::peer_sends(socket, "warm");
    turns(base, 3);
    fake::peer_sends(socket, "kept");
    bufferevent_disable(bev, EV_READ);
    bufferevent_setfd(bev, -1);
    bool stays = fake::is_on_port(socket);
    bufferevent_enable(bev, EV_READ);
    bufferevent_setfd(bev, static_cast<evutil_socket_t>(socket));
    turns(base, 5);
    assert_string_equal(heard.c_str(), "warmkept");
    assert_true(stays);
    bufferevent_setfd(bev, -1);
    assert_false(fake::is_on_port(socket));
    bufferevent_free(bev);
    fake::close_by_program(socket);
}

std::vector<SOCKET> accepted;

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    accepted.push_back(static_cast<SOCKET>(fd));
}

// A listener that leaves its socket open never has it on the port, nor a connection that nobody was told of: another
// base has both, and a port of the program's own the socket.
void not_taken_by_a_listener_that_leaves_it_open(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::listener);
    auto fd = static_cast<evutil_socket_t>(socket);
    uint16_t clients = 0;
    for (struct event_base *each : {base, another, base}) {
        struct evconnlistener *listener = evconnlistener_new(each, on_accept, nullptr, 0, 0, fd);
        fake::client_arrives(socket, {++clients, fake::fate_taken, ""});
        turns(each, 3);
        assert_int_equal(accepted.size(), clients);
        assert_false(fake::is_on_port(socket));
        fake::client_arrives(socket, {++clients, fake::fate_taken, ""});
        evconnlistener_free(listener);
        assert_int_equal(fake::clients_waiting(socket), 1);
        assert_null(fake::complaint());
    }
    for (SOCKET each : accepted)
        fake::close_by_program(each);
    accepted.clear();
    HANDLE own;
    assert_int_equal(sys::port_create(&own, 1), 0);
    assert_int_equal(sys::port_associate(own, reinterpret_cast<HANDLE>(socket), 0), 0);
    fake::close_by_program(socket);
    sys::close_handle(own);
}

} // namespace

int main()
{
#define LEAVING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LEAVING_TEST(taken_back_from_its_bufferevent),
        LEAVING_TEST(connected_for_its_program),
        LEAVING_TEST(where_there_is_no_way_back),
        LEAVING_TEST(with_a_send_in_flight),
        LEAVING_TEST(with_bytes_kept),
        LEAVING_TEST(not_taken_by_a_listener_that_leaves_it_open),
    };
    return cmocka_run_group_tests_name("leaving_port", tests, nullptr, nullptr);
}
