// A signal's packet that is taken while its callback runs, by who waits for an operation's end: in that callback itself, or
// in another thread.
#include "support/check.h"

#include <initializer_list>
#include <signal.h>

#include "support/bases.h"
#include "support/strict_locks.h"

using namespace iocp;

namespace {

int tear_down(void **)
{
    signal(SIGINT, SIG_DFL);
    return check_nothing_is_left();
}

struct interrupted {
    struct event_base *base;
    struct bufferevent *bev;
    struct event *registered;
    unsigned long by; // which thread takes the packet
    int count;
    bool frees;
    bool waited;
};

// The port's packets are taken in the first call: the signal's, and that of the receive which is called back.
void on_interrupted(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<interrupted *>(argument);
    if (++self->count != 1)
        return;
    raise(SIGINT);
    raise(SIGINT);
    become_thread(self->by);
    bufferevent_setfd(self->bev, -1);
    self->waited = self->base->current_event_waiters != 0;
    become_thread(loop_thread);
    if (self->frees)
        event_free(self->registered);
}

SOCKET open_receiving(interrupted *self)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    self->bev = bufferevent_socket_new(self->base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(self->bev, EV_READ);
    turn_to_port(self->base);
    assert_int_equal(fake::operations_in_flight(), 1);
    return socket;
}

// Its counts are the program's all the same, and nobody waits for the callback.
void whoever_takes_its_packet_in_a_callback(void **)
{
    for (unsigned long by : {loop_thread, other_thread})
        for (bool frees : {false, true}) {
            interrupted with = {make_base(on_iocp), nullptr, nullptr, by, 0, frees, false};
            SOCKET socket = open_receiving(&with);
            with.registered = evsignal_new(with.base, SIGINT, on_interrupted, &with);
            event_add(with.registered, nullptr);
            for (int i = 0; i < 3; ++i)
                raise(SIGINT);
            struct timeval never = {3600, 0};
            event_base_loopexit(with.base, &never);
            for (int i = 0; i < 2; ++i) // the second would wait for that
                event_base_loop(with.base, EVLOOP_ONCE | (frees ? EVLOOP_NONBLOCK : 0));
            assert_false(with.waited);
            assert_int_equal(with.count, frees ? 1 : 5);
            assert_true(fake::now_us() < int64_t{3600} * 1000000);
            if (!frees)
                event_free(with.registered);
            bufferevent_free(with.bev);
            fake::close_by_program(socket);
            event_base_free(with.base);
        }
}

} // namespace

int main()
{
    strict_locks_start();
    use_fake_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_takes_its_packet_in_a_callback, set_up_kernel, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
