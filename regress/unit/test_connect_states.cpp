// A connect on the fake kernel at each of its moments: freed there, cancelled in vain, refused by each call it takes.
#include "support/check.h"

#include <functional>

#include "support/connecting.h"
#include "support/guard.h"
#include "support/meanwhile.h"

using namespace iocp;

namespace {

enum class state { waits, packet_waits, packet_taken, done_at_once, count };
enum class end { freed, taken_away, closed_under_it, base_freed, count };

std::function<void()> between;

void on_between(evutil_socket_t, short, void *)
{
    between();
}

void finish(attempt *one, end how, bool *base_is_free)
{
    switch (how) {
    case end::taken_away:
        bufferevent_setfd(one->bev, -1);
        break;
    case end::closed_under_it:
        fake::close_by_program(one->socket);
        one->socket = new_socket(); // mostly the same number
        break;
    case end::base_freed:
        *base_is_free = true;
        event_base_loopbreak(one->base); // it goes as soon as its loop has returned
        return;
    default:
        break;
    }
    let_go(one);
}

void reach(attempt *one, state wanted)
{
    fake::k().odds.pends_although_ready = wanted != state::done_at_once ? 1000 : 0;
    fake::hold_packets(wanted == state::packet_waits);
    ask(one, {wanted == state::waits ? fake::status_pending : 0, 0});
    assert_true(one->asked);
}

// The bufferevent, its socket or its base goes at each moment of a connect. `between` runs after the packet was taken,
// and before the bufferevent is told.
void freed_in_every_state(void **)
{
    for (int which = 0; which < static_cast<int>(state::count); ++which)
        for (int how = 0; how < static_cast<int>(end::count); ++how)
            for (int owned = 0; owned < 2; ++owned) {
                fake::boot(running_seed = 1);
                struct event_base *base = make_base(on_iocp);
                event_base_priority_init(base, 2);
                attempt one;
                bool base_goes = false;
                open_attempt(&one, base, owned != 0 ? int{BEV_OPT_CLOSE_ON_FREE} : 0);
                bufferevent_priority_set(one.bev, 1);
                reach(&one, static_cast<state>(which));
                between = [&] { finish(&one, static_cast<end>(how), &base_goes); };
                if (static_cast<state>(which) == state::packet_taken) {
                    struct event *early = event_new(base, -1, 0, on_between, nullptr);
                    event_priority_set(early, 0);
                    event_active(early, EV_TIMEOUT, 1);
                    turn_to_port(base);
                    event_free(early);
                } else {
                    between();
                }
                assert_int_equal(one.connected, 0);
                fake::hold_packets(false);
                fake::release_all();
                if (!base_goes)
                    turn_to_port(base);
                event_base_free(base);
                if (base_goes ? fake::complaint_after_base_free() : fake::complaint_after_free())
                    fail_msg("%s (state %d, end %d, owned %d)", fake::complaint(), which, how, owned);
            }
}

void told(attempt *one)
{
    for (int turns = 0; turns < 20 && one->connected + one->failed == 0; ++turns) {
        fake::advance_us(1000);
        turn(one->base);
    }
}

// Each connect that is in flight loses its cancel: it succeeds, or fails, for nobody.
void cancels_that_lose(void **)
{
    for (nt_status status : {nt_status{0}, static_cast<nt_status>(0xC0000236)}) {
        fake::boot(running_seed = 1, fake::no_chances);
        fake::k().odds.delayed = 1000;
        fake::k().odds.max_delay_us = 5000;
        fake::set_cancel_way(fake::cancel_way::loses);
        struct event_base *base = make_base(on_iocp);
        attempt one;
        open_attempt(&one, base, BEV_OPT_CLOSE_ON_FREE);
        ask(&one, {status, 0});
        replace_socket(&one);
        turn_to_port(base);
        assert_int_equal(one.connected + one.failed, 0);
        ask(&one, {0, 0});
        told(&one);
        assert_int_equal(one.connected, 1);
        let_go(&one);
        event_base_free(base);
        assert_null(fake::complaint_after_free());
    }
}

// A connect that the kernel or the last step refuses is an error with the code it was refused with.
void refused(fake::call which, int error, bool at_once)
{
    struct event_base *base = make_base(on_iocp);
    attempt one;
    open_attempt(&one, base, BEV_OPT_CLOSE_ON_FREE);
    fake::fail_calls(which, error);
    ask(&one, {0, error});
    if (at_once) {
        assert_false(one.asked);
    } else {
        assert_true(one.asked);
        WSASetLastError(WSAEINVAL); // by somebody else, before the loop runs
        told(&one);
        assert_int_equal(one.connected, 0);
        assert_int_equal(one.failed, 1);
        for (int i = 0; i < 3; ++i)
            turn_to_port(base);
        assert_int_equal(one.failed, 1);
    }
    assert_int_equal(one.error, error);
    let_go(&one);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void last_step_fails(void **)
{
    fake::boot(running_seed = 1);
    refused(fake::call::finish_connect, WSAENETDOWN, false);
    fake::boot(running_seed = 1);
    fake::k().odds.pends_although_ready = 1000;
    refused(fake::call::finish_connect, WSAENOTCONN, false);
}

void refused_at_once(void **)
{
    refused(fake::call::connect, WSAECONNREFUSED, false);
    fake::boot(running_seed = 1);
    fake::fail_calls(fake::call::connect, WSAEOPNOTSUPP); // and so is connect(), where there is no ConnectEx
    refused(fake::call::plain_connect, WSAECONNREFUSED, false);
}

void fails_at_once(void **)
{
    refused(fake::call::connect, WSAENETUNREACH, true);
    fake::boot(running_seed = 1);
    refused(fake::call::connect, WSAENOBUFS, true);
    fake::boot(running_seed = 1);
    refused(fake::call::bind_any, WSAEADDRINUSE, true);
}

// After a connect that could not be started, the bufferevent and its descriptors are like any other.
void descriptors_after_a_failure(void **)
{
    struct event_base *base = make_base(on_iocp);
    attempt one;
    open_attempt(&one, base, BEV_OPT_CLOSE_ON_FREE);
    fake::fail_calls(fake::call::connect, WSAENOBUFS, 2);
    ask(&one, {0, 0});
    ask(&one, {0, 0});
    for (int i = 0; i < 2; ++i) {
        bufferevent_enable(one.bev, EV_READ | EV_WRITE);
        turn_to_port(base);
        assert_int_equal(fake::polls_waiting(one.socket), 1); // for both directions, until it is connected
        bufferevent_setfd(one.bev, -1);
        fake::close_by_program(one.socket);
        one.socket = new_socket();
        bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(one.socket));
    }
    let_go(&one);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// A socket that libevent itself made (the real Winsock, here) is closed when its connect fails, and nobody's any more.
void own_socket_after_a_failure(void **)
{
    struct event_base *base = make_base(on_iocp);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct sockaddr_in nobody = {};
    nobody.sin_family = AF_INET; // with neither address nor port
    assert_int_equal(bufferevent_socket_connect(bev, reinterpret_cast<struct sockaddr *>(&nobody), sizeof(nobody)), -1);
    assert_int_equal(bufferevent_getfd(bev), -1);
    bufferevent_free(bev);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

struct bufferevent *beside;

// Another thread connects another bufferevent of the base between two steps of this one.
void own_socket_after_a_failure_beside_another(void **)
{
    struct event_base *base = make_base(on_iocp);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    beside = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct sockaddr_in nobody = {};
    nobody.sin_family = AF_INET;
    meanwhile_do_when(
        base, [] { return true; }, [] { bufferevent_async_can_connect_(beside); });
    assert_int_equal(bufferevent_socket_connect(bev, reinterpret_cast<struct sockaddr *>(&nobody), sizeof(nobody)), -1);
    assert_true(meanwhile_done());
    assert_int_equal(bufferevent_getfd(bev), -1);
    bufferevent_free(bev);
    bufferevent_free(beside);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// Its connect is under way when there is no memory for the event that is to wait for it. The steps are libevent's.
void own_socket_without_memory_for_its_event(void **)
{
    struct event_base *base = make_base(on_iocp);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_disable(bev, EV_WRITE);
    SOCKET another = new_socket(), socket = new_socket();
    counted *first = count_events(base, static_cast<evutil_socket_t>(another), EV_READ);
    event_add(first->registered, nullptr); // libevent needs memory for its first one
    free_counted(first);
    fake::close_by_program(another);
    auto fd = static_cast<evutil_socket_t>(socket);
    struct sockaddr_in peer = {};
    peer.sin_family = AF_INET;
    fake::set_connect_result(fake::status_pending);
    assert_int_equal(bufferevent_async_can_connect_(bev), 1);
    bufferevent_setfd(bev, fd);
    guard::fail_allocations(1, 100); // the connect's own succeeds
    assert_int_equal(bufferevent_async_connect_(bev, fd, reinterpret_cast<struct sockaddr *>(&peer), sizeof(peer)), -1);
    guard::fail_allocations(0, 0);
    assert_int_equal(fake::calls(fake::call::connect), 1);
    assert_int_equal(bufferevent_getfd(bev), -1);
    evutil_closesocket(fd);
    turn_to_port(base);
    assert_false(fake::is_open(socket));
    bufferevent_free(bev);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

int set_up(void **)
{
    fake::boot(running_seed = 1);
    catch_log();
    return 0;
}

} // namespace

int main()
{
    meanwhile_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(freed_in_every_state, set_up),
        cmocka_unit_test_setup(cancels_that_lose, set_up),
        cmocka_unit_test_setup(last_step_fails, set_up),
        cmocka_unit_test_setup(refused_at_once, set_up),
        cmocka_unit_test_setup(fails_at_once, set_up),
        cmocka_unit_test_setup(descriptors_after_a_failure, set_up),
        cmocka_unit_test_setup(own_socket_after_a_failure, set_up),
        cmocka_unit_test_setup(own_socket_after_a_failure_beside_another, set_up),
        cmocka_unit_test_setup(own_socket_without_memory_for_its_event, set_up),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    return cmocka_run_group_tests_name("connect states", tests, nullptr, nullptr);
}
