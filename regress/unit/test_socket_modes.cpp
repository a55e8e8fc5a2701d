// Sockets that their program has made blocking, and such whose operations leave a packet even if they are done at once,
// on the fake kernel.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

using namespace iocp;

namespace {

struct event_base *base;
std::string heard;

void on_bytes(struct bufferevent *bev, void *)
{
    char bytes[64];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        heard.append(bytes, got);
}

struct bufferevent *talking;

// Its program makes the socket block, and a bufferevent for it, in the callback that brings it.
void on_accept_and_block(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    sys::set_blocking(static_cast<SOCKET>(fd), true);
    talking = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(talking, on_bytes, nullptr, nullptr, nullptr);
    bufferevent_enable(talking, EV_READ);
}

// The first look at a new connection, and every other, waits for nothing: the fake complains of what would.
void a_socket_that_blocks_stops_nothing(void **)
{
    fake::boot(1);
    heard.clear();
    base = make_base(on_iocp);
    SOCKET socket = fake::open_socket(fake::kind::listener);
    struct evconnlistener *listener = evconnlistener_new(base, on_accept_and_block, nullptr, LEV_OPT_CLOSE_ON_FREE, 0,
                                                         static_cast<evutil_socket_t>(socket));
    turn_to_port(base);
    fake::client_arrives(socket, {1, fake::fate_taken, ""});
    for (int i = 0; i < 3; ++i)
        turn_to_port(base);
    for (int round = 0; round < 3; ++round) {
        fake::peer_sends(fake::socket_of_client(1), "word ");
        for (int i = 0; i < 3; ++i)
            turn_to_port(base);
    }
    assert_string_equal(heard.c_str(), "word word word ");
    bufferevent_free(talking);
    evconnlistener_free(listener);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// Where an operation that is done at once leaves a packet all the same, it is not taken for done.
void without_the_mode_that_skips_packets(void **)
{
    fake::boot(1);
    heard.clear();
    base = make_base(on_iocp);
    turn_to_port(base);
    fake::fail_calls(fake::call::skip_packet_on_success, ERROR_INVALID_PARAMETER, 1);
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    auto fd = static_cast<evutil_socket_t>(socket);
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_bytes, nullptr, nullptr, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    for (int round = 0; round < 3; ++round) {
        fake::peer_sends(socket, "word ");
        bufferevent_write(bev, "answer ", 7);
        for (int i = 0; i < 3; ++i)
            turn_to_port(base);
    }
    assert_string_equal(heard.c_str(), "word word word ");
    assert_string_equal(fake::sent(socket).c_str(), "answer answer answer ");
    bufferevent_free(bev);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

int told;

void on_connected(struct bufferevent *, short what, void *)
{
    told += (what & BEV_EVENT_CONNECTED) != 0 ? 1 : 0;
}

void on_accepted(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    ++told;
    evutil_closesocket(fd);
}

void open_without_the_mode()
{
    fake::boot(1);
    told = 0;
    base = make_base(on_iocp);
    turn_to_port(base);
    fake::fail_calls(fake::call::skip_packet_on_success, ERROR_INVALID_PARAMETER, 1);
}

void a_connect_without_it(void **)
{
    open_without_the_mode();
    auto fd = static_cast<evutil_socket_t>(fake::open_socket(fake::kind::stream));
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, nullptr, nullptr, on_connected, nullptr);
    struct sockaddr_in peer = fake::loopback(7);
    assert_int_equal(bufferevent_socket_connect(bev, reinterpret_cast<struct sockaddr *>(&peer), sizeof(peer)), 0);
    for (int i = 0; i < 3; ++i)
        turn_to_port(base);
    assert_int_equal(told, 1);
    bufferevent_free(bev);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void accepts_without_it(void **)
{
    open_without_the_mode();
    SOCKET socket = fake::open_socket(fake::kind::listener);
    for (uint16_t port = 1; port <= 3; ++port)
        fake::client_arrives(socket, {port, fake::fate_taken, ""});
    struct evconnlistener *listener =
        evconnlistener_new(base, on_accepted, nullptr, LEV_OPT_CLOSE_ON_FREE, 0, static_cast<evutil_socket_t>(socket));
    for (int i = 0; i < 5; ++i)
        turn_to_port(base);
    assert_int_equal(told, 3);
    evconnlistener_free(listener);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_socket_that_blocks_stops_nothing, set_up_kernel),
        cmocka_unit_test_setup(without_the_mode_that_skips_packets, set_up_kernel),
        cmocka_unit_test_setup(a_connect_without_it, set_up_kernel),
        cmocka_unit_test_setup(accepts_without_it, set_up_kernel),
    };
    return cmocka_run_group_tests_name("socket modes", tests, nullptr, nullptr);
}
