// A base inside another loop, with locks that a thread cannot take twice: what another thread asks for when they are free
// for a moment, since they must be.
#include "support/outer_loop.h"

#include <signal.h>

#include "backend/backend.h"

using namespace iocp;
using namespace iocp::outer;

namespace {

struct plain_lock {
    int held;
};

std::function<void()> in_gap; // when the loop has ended, and is not marked yet

void *lock_alloc(unsigned)
{
    return new plain_lock();
}

void lock_free(void *lock, unsigned)
{
    delete static_cast<plain_lock *>(lock);
}

int lock_take(unsigned mode, void *argument)
{
    auto *lock = static_cast<plain_lock *>(argument);
    if ((mode & EVTHREAD_TRY) != 0 && lock->held != 0)
        return 1;
    ++lock->held; // of a recursive one; libevent's debugging looks at the others
    return 0;
}

int lock_let_go(unsigned, void *argument)
{
    auto *lock = static_cast<plain_lock *>(argument);
    assert_true(--lock->held >= 0);
    bool has_ended = base != nullptr && backend_of(base) != nullptr && !base->running_loop &&
                     backend_of(base)->embedded.stage == embedding_stage::sleeps;
    if (!has_ended || in_gap == nullptr)
        return 0;
    std::function<void()> next = std::move(in_gap);
    in_gap = nullptr;
    become_thread(other_thread);
    next();
    become_thread(loop_thread);
    return 0;
}

// libevent's debugging aborts where one that is not recursive is taken twice.
void use_locks()
{
    static const struct evthread_lock_callbacks callbacks = {
        EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, lock_alloc, lock_free, lock_take, lock_let_go};
    evthread_set_lock_callbacks(&callbacks);
    evthread_enable_lock_debugging();
}

struct bufferevent *bev;
SOCKET socket_of_bev;

// Sleeps, with a receive in flight.
void fall_asleep(std::function<void()> meanwhile)
{
    bev = open_echo(&socket_of_bev);
    assert_int_equal(run_until_asleep(), 1);
    assert_true(wait_ms == INFINITE);
    fake::peer_sends(socket_of_bev, "echo");
    outer::sleep();
    in_gap = std::move(meanwhile);
    int result = run();
    for (int calls = 0; result == 1 && in_gap != nullptr && calls < 10; ++calls)
        result = run();
    assert_int_equal(result, 1);
    assert_true(in_gap == nullptr);
}

void an_event_is_made_active(void **)
{
    counted *asked = add_event(0);
    fall_asleep([asked] { event_active(asked->registered, EV_WRITE, 0); });
    assert_int_equal(wait_ms, 0);
    assert_int_equal(run(), 1);
    assert_int_equal(asked->count, 1);
    free_counted(asked);
    bufferevent_free(bev);
}

void a_timer_is_added(void **)
{
    counted *timer = nullptr;
    fall_asleep([&timer] { timer = add_event(0, 20000); });
    assert_in_range(wait_ms, 1, 20);
    bufferevent_free(bev);
    assert_int_equal(run_until_asleep(), 1);
    outer::sleep();
    assert_int_equal(run_until_asleep(), 0);
    assert_int_equal(timer->count, 1);
    free_counted(timer);
}

void something_is_written(void **)
{
    fall_asleep([] { bufferevent_write(bev, "meanwhile", 9); });
    assert_int_equal(wait_ms, 0);
    assert_int_equal(run_until_asleep(), 1);
    assert_string_equal(fake::sent(socket_of_bev).c_str(), "echomeanwhile");
    bufferevent_free(bev);
}

void a_break_is_asked_for(void **)
{
    fall_asleep([] { event_base_loopbreak(base); });
    assert_int_equal(wait_ms, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(event_base_got_break(base), 1);
    bufferevent_free(bev);
}

// By who waits for the receive that it has called back.
void take_signals_packet()
{
    raise(SIGINT);
    bufferevent_setfd(bev, -1);
}

void a_signals_packet_is_taken(void **)
{
    counted *interrupt = count_events(base, SIGINT, EV_SIGNAL | EV_PERSIST);
    event_add(interrupt->registered, nullptr);
    fall_asleep(take_signals_packet);
    assert_int_equal(wait_ms, 0);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(interrupt->count, 1);
    bufferevent_setfd(bev, static_cast<evutil_socket_t>(socket_of_bev));
    bufferevent_enable(bev, EV_READ);
    assert_int_equal(run_until_asleep(), 1);
    elsewhere_at(fake::now_us() + 5000, take_signals_packet); // in its sleep
    outer::sleep();
    assert_int_equal(time_outs, 0);
    assert_int_equal(run_until_asleep(), 1);
    assert_int_equal(interrupt->count, 2);
    free_counted(interrupt);
    bufferevent_free(bev);
    fake::close_by_program(socket_of_bev);
}

void a_run_is_ended(void **)
{
    fall_asleep([] {});
    assert_true(wait_ms == INFINITE);
    assert_int_equal(event_base_iocp_end_run(base), 0);
    bufferevent_free(bev);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_event_is_made_active, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_is_added, set_up, tear_down),
        cmocka_unit_test_setup_teardown(something_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_break_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signals_packet_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_is_ended, set_up, tear_down),
    };
    use_locks();
    return cmocka_run_group_tests_name("embedding_locks", tests, nullptr, nullptr);
}
