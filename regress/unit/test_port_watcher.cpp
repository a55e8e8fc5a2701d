// The thread that watches a port for an outer loop, on the fake kernel: what cannot be had for it, and a port from which
// others dequeue meanwhile.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_embed.h"

#include "backend/backend.h"
#include "backend/port_watcher.h"

#include "event2/iocp.h"

#include <initializer_list>

using namespace iocp;

namespace {

struct event_base *base;
port *on;
HANDLE handle;
int delivered;

void on_packet(struct event_overlapped *, ev_uintptr_t, ev_ssize_t, int)
{
    ++delivered;
}

void nothing(evutil_socket_t, short, void *)
{
}

struct event_overlapped records[300];

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    on = backend_of(base)->port;
    delivered = 0;
    for (struct event_overlapped &each : records)
        event_overlapped_init_(&each, on_packet);
    return 0;
}

int tear_down(void **)
{
    if (base != nullptr)
        event_base_free(base);
    return check_nothing_is_left();
}

void post(int count)
{
    for (int i = 0; i < count; ++i)
        assert_int_equal(port_post(on, &records[i], 0, 0), 0);
}

void watch()
{
    handle = event_base_iocp_get_handle(base);
    assert_non_null(handle);
    assert_ptr_not_equal(handle, on->for_libevent.port);
    assert_ptr_equal(event_base_iocp_get_handle(base), handle);
    port_watcher_watch(on);
}

ULONG take()
{
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    assert_int_equal(port_watcher_take(on, entries, &count), 0);
    port_deliver(on, entries, count);
    return count;
}

void what_it_takes_is_handed_over_once(void **)
{
    watch();
    assert_false(fake::wait_outside(handle, 5));
    post(3);
    assert_true(fake::wait_outside(handle, INFINITE));
    port_watcher_watch(on); // it holds packets: nothing to wait for
    assert_true(fake::wait_outside(handle, 0));
    assert_int_equal(take(), 3);
    assert_int_equal(take(), 0);
    assert_int_equal(delivered, 3);
}

void it_is_called_back_with_nothing(void **)
{
    watch();
    assert_in_range(take(), 0, 1); // the packet that calls it back
    assert_true(fake::wait_outside(handle, 0));
    assert_int_equal(delivered, 0);
    port_watcher_watch(on);
    post(2);
    while (delivered < 2)
        assert_in_range(take(), 1, 3);
}

void more_than_a_batch_is_left_to_the_port(void **)
{
    watch();
    post(300);
    assert_true(fake::wait_outside(handle, INFINITE));
    assert_int_equal(take(), max_packets);
    for (int turns = 0; turns < 3; ++turns)
        turn(base);
    assert_int_equal(delivered, 300);
}

void whoever_waits_for_one_packet_gets_it(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    auto *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), 0);
    bufferevent_enable(bev, EV_READ);
    DWORD wait_ms;
    handle = event_base_iocp_get_handle(base);
    assert_int_equal(event_base_iocp_run(base, 0, &wait_ms), 1);
    assert_int_equal(fake::polls_waiting(socket), 1);
    post(1);
    bufferevent_setfd(bev, -1); // a receive is called back
    assert_int_equal(fake::polls_waiting(socket), 0);
    assert_true(fake::wait_outside(handle, 0)); // nobody watches any more
    bufferevent_free(bev);
    fake::close_by_program(socket);
    event_base_iocp_end_run(base);
    turn(base);
    turn(base);
    assert_int_equal(delivered, 1);
}

void what_cannot_be_had_for_it(void **)
{
    for (auto *get : {event_base_iocp_get_handle, event_base_iocp_get_event}) {
        for (unsigned after = 0; after < 2; ++after) {
            fake::fail_calls(fake::call::event_create, ERROR_NOT_ENOUGH_MEMORY, 1, after);
            assert_null(get(base));
            assert_int_equal(WSAGetLastError(), WSAENOBUFS);
        }
        fake::fail_calls(fake::call::thread_start, ERROR_MAX_THRDS_REACHED);
        assert_null(get(base));
        assert_int_equal(WSAGetLastError(), WSAENOBUFS);
        assert_int_equal(fake::events_open(), 0);
    }
    watch();
}

void a_port_that_is_given_out_stays_the_handle(void **)
{
    _putenv("EVENT_IOCP_NO_PORT_WAIT=0");
    handle = event_base_iocp_get_handle(base);
    assert_ptr_equal(handle, on->for_libevent.port);
    for (int i = 0; i < 2; ++i) {
        WSASetLastError(0);
        assert_null(event_base_iocp_get_event(base));
        assert_int_equal(WSAGetLastError(), WSAEALREADY);
        assert_ptr_equal(event_base_iocp_get_handle(base), handle);
    }
    assert_int_equal(fake::events_open(), 0);
    _putenv("EVENT_IOCP_NO_PORT_WAIT=1");
}

void an_event_that_is_given_out_stays_the_handle(void **)
{
    for (const char *waits : {"EVENT_IOCP_NO_PORT_WAIT=0", "EVENT_IOCP_NO_PORT_WAIT=1"}) {
        _putenv(waits);
        handle = event_base_iocp_get_event(base);
        assert_non_null(handle);
        assert_ptr_not_equal(handle, on->for_libevent.port);
        assert_ptr_equal(event_base_iocp_get_handle(base), handle);
        assert_ptr_equal(event_base_iocp_get_event(base), handle);
    }
    watch();
    assert_ptr_equal(event_base_iocp_get_event(base), handle);
    assert_false(fake::wait_in_pool(handle, 5));
    post(1);
    assert_true(fake::wait_in_pool(handle, INFINITE));
    assert_int_equal(take(), 1);
}

void a_call_back_is_tried_again(void **)
{
    watch();
    fake::fail_calls(fake::call::port_post, ERROR_NO_SYSTEM_RESOURCES, max_recalls / 2);
    assert_in_range(take(), 0, 1);
}

// It goes on watching, and what it takes is not lost.
void a_call_back_that_fails_for_good_is_told(void **)
{
    watch();
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    fake::fail_calls(fake::call::port_post, ERROR_NO_SYSTEM_RESOURCES, max_recalls);
    assert_int_equal(port_watcher_take(on, entries, &count), WSAENOBUFS);
    post(1);
    assert_true(fake::wait_outside(handle, INFINITE));
    take();
    assert_int_equal(delivered, 1);
}

void a_port_that_fails_under_it_is_told(void **)
{
    watch();
    fake::fail_calls(fake::call::port_dequeue, ERROR_INVALID_HANDLE);
    post(1);
    assert_true(fake::wait_outside(handle, INFINITE));
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    assert_int_equal(port_watcher_take(on, entries, &count), ERROR_INVALID_HANDLE);
    assert_int_equal(count, 0);
    port_watcher_watch(on);
    assert_true(fake::wait_outside(handle, 0)); // whoever waits looks, and sees it
}

// The fake's own rule.
void a_pool_must_not_wait_for_a_port(void **)
{
    fake::boot(1);
    port *alone = port_open();
    fake::wait_outside(alone->for_libevent.port, 0);
    assert_null(fake::complaint());
    fake::wait_in_pool(alone->for_libevent.port, 0);
    assert_non_null(fake::complaint());
    port_close(alone);
    fake::boot(1);
}

// A batch comes as it is called back: that packet is in the port when the watcher has ended, and comes amid those of
// what is cancelled.
void the_packet_that_calls_it_back_comes_late(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    struct event reads;
    event_assign(&reads, base, static_cast<evutil_socket_t>(socket), EV_READ, nothing, nullptr);
    event_add(&reads, nullptr);
    turn(base);
    assert_int_equal(fake::operations_in_flight(), 1);
    do { // until the fake's thread is as slow as that
        watch();
        post(max_packets);
        assert_int_equal(take(), max_packets);
    } while (!fake::wait_outside(on->for_libevent.port, 0));
    event_base_free(base);
    base = nullptr;
    fake::close_by_program(socket);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_it_takes_is_handed_over_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_called_back_with_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_a_batch_is_left_to_the_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_waits_for_one_packet_gets_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_had_for_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_that_is_given_out_stays_the_handle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_event_that_is_given_out_stays_the_handle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_back_is_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_back_that_fails_for_good_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_that_fails_under_it_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_packet_that_calls_it_back_comes_late, set_up, tear_down),
        cmocka_unit_test(a_pool_must_not_wait_for_a_port),
    };
    _putenv("EVENT_IOCP_NO_PORT_WAIT=1");
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
