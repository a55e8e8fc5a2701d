// A second in which a listener of the fake kernel cannot start accepts: its program is told only if somebody may be kept
// waiting by it, and nobody spins. (What is lost in a shortage, and that all goes on afterwards: test_shortage.cpp.)
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/guard.h"

#include "event2/iocp.h"

#include "bufferevent/acceptor.h"

using namespace iocp;

namespace {

constexpr int64_t second_us = 1000 * 1000;
constexpr int pauses = second_us / shortage_pause_us;
// The loop looks each 10 ms whether the pause is over; and some more.
constexpr uint64_t max_looks = 150;
constexpr unsigned for_ever = 1000000;
constexpr unsigned by_accept_ex_alone = LEV_OPT_CLOSE_ON_EXEC; // accept() may not be used

struct world {
    struct event_base *base;
    struct evconnlistener *listener;
    SOCKET socket;
    int accepted;
    int errors;
    int last_error;
};

world w;

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    ++w.accepted;
    evutil_closesocket(fd);
}

void on_error(struct evconnlistener *, void *)
{
    w.last_error = EVUTIL_SOCKET_ERROR();
    ++w.errors;
}

acceptor *own()
{
    return acceptor_find(backend_of(w.base), static_cast<evutil_socket_t>(w.socket));
}

void open_world(unsigned flags = 0)
{
    fake::boot(1);
    w = world();
    w.base = make_base(on_iocp);
    w.socket = fake::open_socket(fake::kind::listener);
    w.listener = evconnlistener_new(w.base, on_accept, nullptr, flags | LEV_OPT_CLOSE_ON_FREE, 0,
                                    static_cast<evutil_socket_t>(w.socket));
    evconnlistener_set_error_cb(w.listener, on_error);
}

void close_world()
{
    evconnlistener_free(w.listener);
    event_base_free(w.base);
    assert_null(fake::complaint_after_free());
}

void clients(unsigned first, unsigned count)
{
    for (unsigned port = first; port < first + count; ++port)
        fake::client_arrives(w.socket, {static_cast<uint16_t>(port), fake::fate_taken, ""});
}

void run_for(int64_t us)
{
    struct timeval span = {static_cast<long>(us / 1000000), static_cast<long>(us % 1000000)};
    event_base_loopexit(w.base, &span);
    event_base_loop(w.base, EVLOOP_NO_EXIT_ON_EMPTY);
}

// So many accepts can be started, and then none for a second.
void go_short(fake::call start, int error, unsigned after = 0)
{
    fake::fail_calls(start, error, for_ever, after);
    uint64_t looks = fake::calls(fake::call::port_dequeue), tries = fake::calls(start);
    uint64_t accepts = fake::calls(fake::call::accept_now);
    run_for(second_us);
    assert_true(fake::calls(start) > tries + after);
    assert_in_range(fake::calls(start) - tries, 0, after + pauses + 1);
    assert_in_range(fake::calls(fake::call::accept_now) - accepts, 0, 2 * pauses);
    assert_in_range(fake::calls(fake::call::port_dequeue) - looks, 0, max_looks);
}

void all_is_well_again(fake::call start)
{
    fake::fail_calls(start, 0, 0);
    run_for(2 * shortage_pause_us);
    int before = w.accepted;
    clients(100, 5);
    run_for(2 * shortage_pause_us);
    assert_int_equal(w.accepted, before + 5);
    assert_int_equal(fake::accepts_waiting(w.socket), own()->depth);
    close_world();
}

struct shortage {
    fake::call start;
    int error;
};

constexpr shortage shortages[] = {
    {fake::call::socket_like, WSAEMFILE}, {fake::call::accept, WSAENOBUFS}, {fake::call::accept, WSAEMFILE}};

// Accepts in flight are there for whoever comes, if fewer than there might be.
void some_are_in_flight(void **)
{
    for (const shortage &each : shortages)
        for (unsigned flags : {0u, by_accept_ex_alone})
            for (unsigned in_flight : {2u, 1u}) {
                open_world(flags);
                own()->depth = in_flight + 2; // one less when nobody comes
                go_short(each.start, each.error, in_flight);
                assert_int_equal(w.errors, 0);
                assert_int_equal(fake::accepts_waiting(w.socket), in_flight);
                all_is_well_again(each.start);
            }
}

// Nobody comes, and accept(), which is asked once a pause, says so.
void none_is_in_flight(void **)
{
    for (const shortage &each : shortages) {
        open_world();
        uint64_t accepts = fake::calls(fake::call::accept_now);
        go_short(each.start, each.error);
        assert_int_equal(w.errors, 0);
        assert_in_range(fake::calls(fake::call::accept_now) - accepts, pauses / 2, pauses + 1);
        all_is_well_again(each.start);
    }
}

// Whoever comes is taken by accept() within a pause, and those behind at once.
void who_comes_is_taken_by_accept(void **)
{
    for (const shortage &each : shortages) {
        open_world();
        int64_t began = fake::now_us();
        for (unsigned i = 0; i < 5; ++i)
            fake::at(began + i * second_us / 5, [=] { clients(1 + 3 * i, 3); });
        for (unsigned i = 0; i < 5; ++i)
            fake::at(began + i * second_us / 5 + shortage_pause_us + 20 * 1000,
                     [=] { assert_int_equal(w.accepted, 3 * (i + 1)); });
        go_short(each.start, each.error);
        assert_int_equal(w.accepted, 15);
        assert_int_equal(w.errors, 0);
        all_is_well_again(each.start);
    }
}

// Who comes could wait for as long as it lasts.
void nobody_can_come(void **)
{
    for (const shortage &each : shortages) {
        open_world(by_accept_ex_alone);
        go_short(each.start, each.error);
        assert_in_range(w.errors, pauses / 2, pauses + 1);
        assert_int_equal(w.last_error, each.error);
        all_is_well_again(each.start);
    }
}

// Nor by accepts in flight whose peers say nothing.
void all_in_flight_have_silent_peers(void **)
{
    for (const shortage &each : shortages) {
        open_world();
        assert_int_equal(evconnlistener_iocp_set_first_data(w.listener, 64, nullptr), 0);
        run_for(1000);
        assert_true(fake::accepts_waiting(w.socket) > 0);
        clients(1, own()->depth + 1); // the last one waits
        fake::fail_calls(each.start, each.error, for_ever);
        run_for(second_us);
        assert_in_range(w.errors, 1, pauses + 1);
        assert_int_equal(w.last_error, each.error);
        assert_int_equal(evconnlistener_iocp_set_first_data(w.listener, 0, nullptr), 0);
        for (uint16_t port = 1; port <= 2; ++port)
            fake::peer_sends(fake::socket_of_client(port), "at last");
        all_is_well_again(each.start);
    }
}

// accept() fails, while nothing else can be started: it is told, and left alone for a pause, too.
void accept_has_a_shortage_of_its_own(void **)
{
    for (const shortage &each : shortages) {
        open_world();
        fake::fail_calls(fake::call::accept_now, WSAENOBUFS, for_ever);
        go_short(each.start, each.error);
        assert_in_range(w.errors, pauses / 2, pauses + 1);
        assert_int_equal(w.last_error, WSAENOBUFS);
        fake::fail_calls(fake::call::accept_now, 0, 0);
        all_is_well_again(each.start);
    }
}

// Under load one is taken to see whether somebody waits, for which there is no memory.
void a_look_without_memory(void **)
{
    open_world();
    run_for(1000);
    clients(1, 20);
    guard::fail_allocations(0, for_ever);
    turn_to_port(w.base);
    turn_to_port(w.base);
    clients(21, 5);
    turn_to_port(w.base);
    turn_to_port(w.base);
    guard::fail_allocations(0, 0);
    assert_int_equal(w.accepted, 25);
    run_for(1000);
    assert_int_equal(w.errors, 0);
    all_is_well_again(fake::call::accept);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(some_are_in_flight, set_up_kernel),
        cmocka_unit_test_setup(none_is_in_flight, set_up_kernel),
        cmocka_unit_test_setup(who_comes_is_taken_by_accept, set_up_kernel),
        cmocka_unit_test_setup(nobody_can_come, set_up_kernel),
        cmocka_unit_test_setup(all_in_flight_have_silent_peers, set_up_kernel),
        cmocka_unit_test_setup(accept_has_a_shortage_of_its_own, set_up_kernel),
        cmocka_unit_test_setup(a_look_without_memory, set_up_kernel),
    };
    return cmocka_run_group_tests_name("acceptor shortage", tests, nullptr, nullptr);
}
