// A bufferevent that another thread frees while the loop, about to call it back, waits for its lock; on the fake kernel.
// What was received for it has gone, and the kernel is not asked for more: on a socket that blocks, the loop would wait.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/meanwhile.h"

using namespace iocp;

namespace {

struct event_base *base;
struct bufferevent *freed;
size_t heard;

void hear(struct bufferevent *from, void *)
{
    heard += evbuffer_get_length(bufferevent_get_input(from));
    evbuffer_drain(bufferevent_get_input(from), SIZE_MAX);
}

void told_of_an_end(struct bufferevent *, short, void *)
{
    fail_msg("%s", "it was freed");
}

void free_it()
{
    bufferevent_free(freed);
    freed = nullptr;
}

void turns(int count)
{
    for (int i = 0; i < count; ++i)
        turn_to_port(base);
}

void with_bytes_that_were_received(void **)
{
    for (int options : {0, static_cast<int>(BEV_OPT_THREADSAFE)}) {
        fake::boot(1);
        base = make_base(on_iocp);
        heard = 0;
        SOCKET socket = fake::open_socket(fake::kind::stream);
        fake::connect_now(socket);
        freed = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE | options);
        bufferevent_setcb(freed, hear, nullptr, told_of_an_end, nullptr);
        bufferevent_enable(freed, EV_READ);
        turns(1);
        fake::peer_sends(socket, "one");
        turns(3);
        assert_int_equal(heard, 3);
        meanwhile_do(base, free_it);
        fake::peer_sends(socket, "another");
        turns(4);
        assert_true(meanwhile_done());
        assert_int_equal(heard, 3);
        assert_int_equal(fake::calls(fake::call::plain_receive), 0);
        assert_false(fake::is_open(socket));
        event_base_free(base);
        assert_null(fake::complaint_after_free());
    }
}

} // namespace

int main()
{
    meanwhile_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(with_bytes_that_were_received, set_up_kernel),
    };
    return cmocka_run_group_tests_name("freed beside", tests, nullptr, nullptr);
}
