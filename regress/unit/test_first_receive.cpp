// What the first receive of a connection that was just accepted costs, on the fake kernel: whether its first bytes have
// come is guessed from the last one's.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

struct event_base *base;
struct evconnlistener *listener;
SOCKET listening;
std::string heard;
std::vector<struct bufferevent *> accepted;

void on_bytes(struct bufferevent *bev, void *)
{
    char bytes[64];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        heard.append(bytes, got);
}

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    accepted.push_back(bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_setcb(accepted.back(), on_bytes, nullptr, nullptr, nullptr);
    bufferevent_enable(accepted.back(), EV_READ);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i)
        turn_to_port(base);
}

void begin()
{
    fake::boot(1);
    heard.clear();
    accepted.clear();
    base = make_base(on_iocp);
    listening = fake::open_socket(fake::kind::listener);
    listener =
        evconnlistener_new(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 0, static_cast<evutil_socket_t>(listening));
    turns(2);
}

void finish()
{
    for (struct bufferevent *one : accepted)
        bufferevent_free(one);
    evconnlistener_free(listener);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// Receives, and those that were called back, which a connection has cost until it waits for more.
struct cost {
    uint64_t receives;
    uint64_t cancels;
};

cost come_in(uint16_t port, const char *bytes)
{
    uint64_t receives = fake::calls(fake::call::receive) + fake::calls(fake::call::receive_now);
    uint64_t cancels = fake::calls(fake::call::cancel);
    fake::client_arrives(listening, {port, fake::fate_taken, bytes});
    turns(4);
    return {fake::calls(fake::call::receive) + fake::calls(fake::call::receive_now) - receives,
            fake::calls(fake::call::cancel) - cancels};
}

void check_cost(const cost &found, uint64_t receives, uint64_t cancels)
{
    assert_int_equal(found.receives, receives);
    assert_int_equal(found.cancels, cancels);
}

// As of a protocol in which the server speaks first.
void those_that_wait_are_not_called_back(void **)
{
    begin();
    check_cost(come_in(1, ""), 2, 1);
    for (uint16_t port = 2; port < 20; ++port)
        check_cost(come_in(port, ""), 1, 0);
    for (uint16_t port = 1; port < 20; ++port)
        fake::peer_sends(fake::socket_of_client(port), "x");
    turns(3);
    assert_string_equal(heard.c_str(), "xxxxxxxxxxxxxxxxxxx");
    finish();
}

void those_that_have_spoken_cost_one_receive(void **)
{
    begin();
    for (uint16_t port = 1; port < 20; ++port)
        check_cost(come_in(port, "x"), 2, 0); // with the next, which waits
    assert_string_equal(heard.c_str(), "xxxxxxxxxxxxxxxxxxx");
    finish();
}

void the_guess_follows_them(void **)
{
    begin();
    check_cost(come_in(1, ""), 2, 1);
    check_cost(come_in(2, "x"), 3, 0);
    check_cost(come_in(3, "x"), 2, 0);
    check_cost(come_in(4, ""), 2, 1);
    check_cost(come_in(5, ""), 1, 0);
    assert_string_equal(heard.c_str(), "xx");
    finish();
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(those_that_wait_are_not_called_back, set_up_kernel),
        cmocka_unit_test_setup(those_that_have_spoken_cost_one_receive, set_up_kernel),
        cmocka_unit_test_setup(the_guess_follows_them, set_up_kernel),
    };
    return cmocka_run_group_tests_name("first receive", tests, nullptr, nullptr);
}
