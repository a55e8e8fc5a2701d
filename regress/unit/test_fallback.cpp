// Sockets on the fake kernel that overlapped operations do not reach, or cannot be used on: bufferevents, connects and
// listeners on them go by readiness and libevent's own calls, and work.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

using namespace iocp;

namespace {

// Why a socket cannot be on the base's port.
enum class hindrance { another_port, provider, count };

struct world {
    struct event_base *base;
    HANDLE another_port;
};

world w;

void open_world()
{
    w = world();
    w.base = make_base(on_iocp);
    assert_int_equal(sys::port_create(&w.another_port, 1), 0);
}

void close_world()
{
    sys::close_handle(w.another_port);
    event_base_free(w.base);
    assert_null(fake::complaint_after_free());
}

void hinder(SOCKET socket, hindrance why)
{
    if (why == hindrance::another_port)
        assert_int_equal(sys::port_associate(w.another_port, reinterpret_cast<HANDLE>(socket), 0), 0);
    else
        fake::put_layer_over(socket);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn(w.base);
    }
}

struct heard {
    std::string bytes;
    int connected;
    int ends;
    int errors;
    int error;
};

void on_read(struct bufferevent *bev, void *argument)
{
    char bytes[256];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        static_cast<heard *>(argument)->bytes.append(bytes, got);
}

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *of = static_cast<heard *>(argument);
    of->error = EVUTIL_SOCKET_ERROR();
    of->connected += (what & BEV_EVENT_CONNECTED) != 0;
    of->ends += (what & BEV_EVENT_EOF) != 0;
    of->errors += (what & BEV_EVENT_ERROR) != 0;
}

struct bufferevent *talk_on(SOCKET socket, heard *by)
{
    auto fd = static_cast<evutil_socket_t>(socket);
    struct bufferevent *bev = bufferevent_socket_new(w.base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_read, nullptr, on_event, by);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return bev;
}

// Bytes go both ways, and the end comes.
void converse(struct bufferevent *bev, SOCKET socket, heard *by)
{
    std::string written, said;
    for (int i = 0; i < 5; ++i) {
        std::string bytes(3000, static_cast<char>('a' + i));
        bufferevent_write(bev, bytes.data(), bytes.size());
        fake::peer_sends(socket, bytes);
        written += bytes;
        fake::set_send_room(socket, i % 2 != 0 ? 100 : SIZE_MAX);
        turns(2);
    }
    fake::set_send_room(socket, SIZE_MAX);
    turns(5);
    fake::peer_finishes(socket);
    turns(5);
    assert_true(by->bytes == written);
    assert_true(fake::sent(socket) == written);
    assert_int_equal(by->ends, 1);
    assert_int_equal(by->errors, 0);
}

void check_plain(fake::call overlapped, fake::call plain)
{
    assert_int_equal(fake::calls(overlapped), 0);
    assert_true(fake::calls(plain) > 0);
}

void bufferevents(void **)
{
    for (int why = 0; why < static_cast<int>(hindrance::count); ++why) {
        fake::boot(1);
        open_world();
        SOCKET socket = fake::open_socket(fake::kind::stream);
        hinder(socket, static_cast<hindrance>(why));
        fake::connect_now(socket);
        heard by = {};
        struct bufferevent *bev = talk_on(socket, &by);
        converse(bev, socket, &by);
        check_plain(fake::call::receive, fake::call::plain_receive);
        check_plain(fake::call::send, fake::call::plain_send);
        bufferevent_free(bev);
        close_world();
    }
}

void connect_on(SOCKET socket, nt_status result)
{
    struct sockaddr_in peer = {};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(7);
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    heard by = {};
    struct bufferevent *bev = talk_on(socket, &by);
    fake::set_connect_result(result);
    assert_int_equal(bufferevent_socket_connect(bev, reinterpret_cast<struct sockaddr *>(&peer), sizeof(peer)), 0);
    turns(5);
    if (result != 0 && by.errors == 0) { // who refuses may take his time
        fake::advance_us(fake::refusal_us);
        turns(5);
    }
    assert_int_equal(by.connected, result == 0);
    assert_int_equal(by.errors, result != 0);
    assert_true(fake::calls(fake::call::plain_connect) > 0);
    assert_int_equal(fake::calls(fake::call::finish_connect), 0);
    if (result == 0)
        converse(bev, socket, &by);
    else
        assert_int_equal(by.error, sys::status_to_error(result));
    bufferevent_free(bev);
}

constexpr nt_status refused = static_cast<nt_status>(0xC0000236);

void connects(void **)
{
    for (nt_status result : {nt_status{0}, refused})
        for (int why = 0; why < static_cast<int>(hindrance::count); ++why) {
            fake::boot(1 + static_cast<uint64_t>(why)); // one is refused at once, and one late
            open_world();
            SOCKET socket = fake::open_socket(fake::kind::stream);
            hinder(socket, static_cast<hindrance>(why));
            connect_on(socket, result);
            close_world();
        }
}

// The provider has no ConnectEx.
void connects_without_the_function(void **)
{
    for (nt_status result : {nt_status{0}, refused}) {
        fake::boot(1);
        open_world();
        fake::fail_calls(fake::call::connect, WSAEOPNOTSUPP);
        connect_on(fake::open_socket(fake::kind::stream), result);
        close_world();
    }
}

std::vector<uint16_t> accepted;

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *address, int, void *)
{
    uint16_t port = ntohs(reinterpret_cast<struct sockaddr_in *>(address)->sin_port);
    assert_true(sys::is_connected(static_cast<SOCKET>(fd)));
    assert_int_equal(fake::socket_of_client(port), fd);
    accepted.push_back(port);
    evutil_closesocket(fd);
}

struct evconnlistener *listen_on(SOCKET socket)
{
    accepted.clear();
    auto fd = static_cast<evutil_socket_t>(socket);
    return evconnlistener_new(w.base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 0, fd);
}

void clients_are_accepted(SOCKET socket, uint16_t first, uint16_t count)
{
    accepted.clear();
    for (uint16_t port = first; port < first + count; ++port)
        fake::client_arrives(socket, {port, fake::fate_taken, ""});
    turns(10);
    assert_int_equal(accepted.size(), count);
    for (uint16_t i = 0; i < count; ++i)
        assert_int_equal(accepted[i], first + i);
}

void listeners(void **)
{
    for (int why = 0; why < static_cast<int>(hindrance::count); ++why) {
        fake::boot(1);
        open_world();
        SOCKET socket = fake::open_socket(fake::kind::listener);
        hinder(socket, static_cast<hindrance>(why));
        struct evconnlistener *listener = listen_on(socket);
        turns(2);
        clients_are_accepted(socket, 1, 10);
        evconnlistener_disable(listener);
        evconnlistener_enable(listener);
        clients_are_accepted(socket, 20, 10);
        check_plain(fake::call::accept, fake::call::plain_accept);
        evconnlistener_free(listener);
        close_world();
    }
}

// A provider whose AcceptEx is none, or is another's; from the first call on, or while others are in flight.
void listeners_without_the_function(void **)
{
    for (int error : {WSAEOPNOTSUPP, WSAEINVAL})
        for (unsigned good = 0; good < 4; ++good) {
            fake::boot(1);
            open_world();
            SOCKET socket = fake::open_socket(fake::kind::listener);
            fake::fail_calls(fake::call::accept, error, 1, good);
            struct evconnlistener *listener = listen_on(socket);
            turns(2);
            clients_are_accepted(socket, 1, 10);
            clients_are_accepted(socket, 20, 10);
            assert_true(fake::calls(fake::call::plain_accept) > 0);
            assert_int_equal(fake::calls(fake::call::accept), good + 1); // and was not tried again
            evconnlistener_free(listener);
            close_world();
        }
}

// Its poll is started before the loop sleeps for long: somebody may have come already.
void a_listener_falls_back_without_sleeping(void **)
{
    open_world();
    SOCKET socket = fake::open_socket(fake::kind::listener);
    fake::fail_calls(fake::call::accept, WSAEOPNOTSUPP, 1);
    struct evconnlistener *listener = listen_on(socket);
    struct timeval second = {1, 0};
    event_base_loopexit(w.base, &second);
    size_t before = fake::waits().size();
    event_base_dispatch(w.base);
    assert_true(fake::waits().size() >= before + 2);
    assert_true(fake::waits()[before] <= 10 * 1000);
    assert_int_equal(fake::polls_waiting(socket), 1);
    evconnlistener_free(listener);
    close_world();
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bufferevents, set_up_kernel),
        cmocka_unit_test_setup(connects, set_up_kernel),
        cmocka_unit_test_setup(connects_without_the_function, set_up_kernel),
        cmocka_unit_test_setup(listeners, set_up_kernel),
        cmocka_unit_test_setup(listeners_without_the_function, set_up_kernel),
        cmocka_unit_test_setup(a_listener_falls_back_without_sleeping, set_up_kernel),
    };
    return cmocka_run_group_tests_name("fallback", tests, nullptr, nullptr);
}
