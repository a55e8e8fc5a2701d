// The poll by which a listener of the fake kernel finds silent peers while it waits for first data: two polls of one socket
// in flight confuse Windows, which may tell the older one alone. So this one ends before the listener's own begins.
#include "support/check.h"

#include <algorithm>

#include "support/bases.h"
#include "support/fake_kernel.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

struct world {
    struct event_base *bases[2]; // the second has no listener at first
    struct evconnlistener *listener;
    SOCKET socket;
    std::vector<uint16_t> accepted;
};

world w;

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *address, int, void *)
{
    w.accepted.push_back(ntohs(reinterpret_cast<struct sockaddr_in *>(address)->sin_port));
    evutil_closesocket(fd);
}

struct evconnlistener *listen_on(struct event_base *base, unsigned flags)
{
    return evconnlistener_new(base, on_accept, nullptr, flags, 0, static_cast<evutil_socket_t>(w.socket));
}

void turns(struct event_base *base, int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(base);
    }
}

void open_world()
{
    w = world();
    for (struct event_base *&each : w.bases)
        each = make_base(on_iocp);
    w.socket = fake::open_socket(fake::kind::listener);
    w.listener = listen_on(w.bases[0], LEV_OPT_CLOSE_ON_FREE);
    assert_int_equal(evconnlistener_iocp_set_first_data(w.listener, 64, nullptr), 0);
    turns(w.bases[0], 2);
    assert_int_equal(fake::polls_waiting(w.socket), 1);
}

void close_world()
{
    evconnlistener_free(w.listener);
    for (struct event_base *each : w.bases)
        event_base_free(each);
    assert_null(fake::complaint_after_free());
}

void is_told_of(uint16_t port, struct event_base *by)
{
    fake::client_arrives(w.socket, {port, fake::fate_taken, ""});
    turns(by, 3);
    assert_int_equal(std::count(w.accepted.begin(), w.accepted.end(), port), 1);
}

void a_listener_that_does_without_accept_ex(void **)
{
    open_world();
    assert_int_equal(evconnlistener_iocp_avoid_acceptex(w.listener), 0);
    assert_int_equal(fake::polls_waiting(w.socket), 0);
    turns(w.bases[0], 3);
    assert_int_equal(fake::polls_waiting(w.socket), 1);
    is_told_of(1, w.bases[0]);
    assert_int_equal(evconnlistener_iocp_set_first_data(w.listener, 64, nullptr), 0); // in vain
    turns(w.bases[0], 3);
    assert_int_equal(fake::polls_waiting(w.socket), 1);
    close_world();
}

// One that AcceptEx turns out not to work for.
void a_listener_that_cannot_start_accepts(void **)
{
    open_world();
    fake::fail_calls(fake::call::accept, WSAEOPNOTSUPP, 1000);
    uint16_t port = 1;
    while (fake::accepts_waiting(w.socket) > 0) // none takes their place
        fake::client_arrives(w.socket, {port++, fake::fate_taken, "data"});
    turns(w.bases[0], 5);
    assert_int_equal(w.accepted.size(), port - 1);
    assert_int_equal(fake::polls_waiting(w.socket), 1);
    is_told_of(port, w.bases[0]);
    close_world();
}

// Each of the bases has its own.
void a_listener_whose_socket_is_shared(void **)
{
    open_world();
    struct evconnlistener *second = listen_on(w.bases[1], 0);
    turns(w.bases[0], 3);
    turns(w.bases[1], 1);
    assert_int_equal(fake::polls_waiting(w.socket), 2);
    is_told_of(1, w.bases[0]);
    is_told_of(2, w.bases[1]);
    evconnlistener_free(second);
    close_world();
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_listener_that_does_without_accept_ex, set_up_kernel),
        cmocka_unit_test_setup(a_listener_that_cannot_start_accepts, set_up_kernel),
        cmocka_unit_test_setup(a_listener_whose_socket_is_shared, set_up_kernel),
    };
    return cmocka_run_group_tests_name("first data watch", tests, nullptr, nullptr);
}
