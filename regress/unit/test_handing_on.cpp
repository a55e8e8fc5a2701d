// A descriptor that goes from one bufferevent to the next within a callback, on the fake kernel: libevent holds a reference
// to the first until the callback ends, and the next one goes by the port all the same.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

using namespace iocp;

namespace {

constexpr int messages = 20;

struct event_base *base;
struct bufferevent *next;
int heard;

void on_next_read(struct bufferevent *bev, void *)
{
    heard += static_cast<int>(evbuffer_get_length(bufferevent_get_input(bev)));
    evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
}

void hand_on(struct bufferevent *bev, void *)
{
    evutil_socket_t fd = bufferevent_getfd(bev);
    on_next_read(bev, nullptr);
    bufferevent_free(bev);
    next = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(next, on_next_read, nullptr, nullptr, nullptr);
    bufferevent_enable(next, EV_READ | EV_WRITE);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(base);
    }
}

void the_next_one_goes_by_the_port(void **)
{
    for (int options : {0, static_cast<int>(BEV_OPT_DEFER_CALLBACKS)}) {
        fake::boot(1);
        base = make_base(on_iocp);
        heard = 0;
        SOCKET socket = fake::open_socket(fake::kind::stream);
        fake::connect_now(socket);
        auto fd = static_cast<evutil_socket_t>(socket);
        struct bufferevent *first = bufferevent_socket_new(base, fd, options);
        bufferevent_setcb(first, hand_on, nullptr, nullptr, nullptr);
        bufferevent_enable(first, EV_READ);
        turns(1);
        fake::peer_sends(socket, "x");
        turns(4);
        assert_int_equal(heard, 1);
        uint64_t polls = fake::calls(fake::call::afd_poll);
        for (int i = 0; i < messages; ++i) {
            fake::peer_sends(socket, "x");
            turns(2);
        }
        assert_int_equal(heard, 1 + messages);
        assert_int_equal(fake::calls(fake::call::afd_poll), polls);
        bufferevent_free(next);
        event_base_free(base);
        assert_null(fake::complaint_after_free());
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_next_one_goes_by_the_port, set_up_kernel),
    };
    return cmocka_run_group_tests_name("handing on", tests, nullptr, nullptr);
}
