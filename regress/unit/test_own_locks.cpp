// An evbuffer of a bufferevent that has a lock of its own, on the fake kernel: other threads of its program use it by that,
// and never while the kernel has its memory.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/strict_locks.h"

using namespace iocp;

namespace {

struct event_base *base;
SOCKET connected;
bool was_locked;

struct bufferevent *open_bufferevent()
{
    base = make_base(on_iocp);
    connected = fake::open_socket(fake::kind::stream);
    fake::connect_now(connected);
    return bufferevent_socket_new(base, static_cast<evutil_socket_t>(connected), BEV_OPT_CLOSE_ON_FREE);
}

// Whether another thread would have to wait for it in the midst of the next such call.
void look_within(fake::call which, struct evbuffer *used)
{
    assert_int_equal(evbuffer_enable_locking(used, nullptr), 0);
    was_locked = false;
    fake::within(which, [=] { was_locked = evthread_is_debug_lock_held_(used->lock) != 0; });
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(base);
    }
}

void close_all(struct bufferevent *bev)
{
    bufferevent_free(bev);
    turns(2);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void an_input(void **)
{
    struct bufferevent *bev = open_bufferevent();
    struct evbuffer *input = bufferevent_get_input(bev);
    look_within(fake::call::receive_now, input);
    bufferevent_enable(bev, EV_READ);
    turns(1);
    fake::peer_sends(connected, "said");
    turns(2);
    assert_int_equal(fake::calls(fake::call::receive_now), 1);
    assert_true(was_locked);
    assert_int_equal(evbuffer_get_length(input), 4);
    close_all(bev);
}

void an_output(void **)
{
    struct bufferevent *bev = open_bufferevent();
    look_within(fake::call::send, bufferevent_get_output(bev));
    bufferevent_write(bev, "said", 4);
    turns(2);
    assert_int_equal(fake::calls(fake::call::send), 1);
    assert_true(was_locked);
    assert_string_equal(fake::sent(connected).c_str(), "said");
    close_all(bev);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_input, set_up_kernel),
        cmocka_unit_test_setup(an_output, set_up_kernel),
    };
    return cmocka_run_group_tests_name("own locks", tests, nullptr, nullptr);
}
