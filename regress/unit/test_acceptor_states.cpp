// A listener on the fake kernel at each of its moments: freed there, its peers gone before they are accepted, its last
// step refused, and a storm of peers that reset at once.
#include "support/check.h"

#include <algorithm>
#include <functional>

#include "support/bases.h"
#include "support/fake_kernel.h"

#include "event2/iocp.h"

#include "bufferevent/acceptor.h"

using namespace iocp;

namespace {

struct world {
    struct event_base *base;
    struct evconnlistener *listener;
    SOCKET socket;
    std::vector<uint16_t> accepted;
    bool free_when_told;
    bool disable_when_told;
    bool leaves_blocking;
    int errors;
};

world w;

void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int, void *)
{
    assert_ptr_equal(listener, w.listener);
    assert_true(sys::is_connected(static_cast<SOCKET>(fd)));
    assert_int_equal(fake::never_blocks(static_cast<SOCKET>(fd)), !w.leaves_blocking);
    w.accepted.push_back(ntohs(reinterpret_cast<struct sockaddr_in *>(address)->sin_port));
    evutil_closesocket(fd);
    if (w.free_when_told)
        evconnlistener_free(listener);
    if (w.disable_when_told)
        evconnlistener_disable(listener);
}

void on_error(struct evconnlistener *, void *)
{
    ++w.errors;
}

void open_world(unsigned flags)
{
    w = world();
    w.leaves_blocking = (flags & LEV_OPT_LEAVE_SOCKETS_BLOCKING) != 0;
    w.base = make_base(on_iocp);
    event_base_priority_init(w.base, 2);
    w.socket = fake::open_socket(fake::kind::listener);
    w.listener = evconnlistener_new(w.base, on_accept, nullptr, flags | LEV_OPT_CLOSE_ON_FREE, 0,
                                    static_cast<evutil_socket_t>(w.socket));
    evconnlistener_set_error_cb(w.listener, on_error);
}

void clients(uint16_t first, uint16_t count, nt_status fate = fake::fate_taken)
{
    for (uint16_t port = first; port < first + count; ++port)
        fake::client_arrives(w.socket, {port, fate, ""});
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(w.base);
    }
}

void close_world()
{
    evconnlistener_free(w.listener);
    event_base_free(w.base);
    assert_null(fake::complaint_after_free());
}

enum class state { waits, silent, packet_waits, packet_taken, disabled, error_waits, looked_at, count };
enum class end { freed, disabled_and_freed, closed_under_it, base_freed, count };

bool base_goes;

void finish(end how)
{
    switch (how) {
    case end::disabled_and_freed:
        evconnlistener_disable(w.listener);
        break;
    case end::closed_under_it:
        fake::close_by_program(w.socket);
        break;
    case end::base_freed:
        base_goes = true;
        event_base_loopbreak(w.base); // it goes as soon as its loop has returned
        return;
    default:
        break;
    }
    evconnlistener_free(w.listener);
}

std::function<void()> between;

void on_between(evutil_socket_t, short, void *)
{
    between();
}

void reach(state wanted)
{
    if (wanted == state::looked_at) {
        acceptor_find(backend_of(w.base), static_cast<evutil_socket_t>(w.socket))->found_in_backlog = true;
        clients(1, 2);
        return;
    }
    if (wanted == state::silent)
        evconnlistener_iocp_set_first_data(w.listener, 64, nullptr);
    turns(2);
    if (wanted == state::disabled)
        evconnlistener_disable(w.listener);
    if (wanted == state::error_waits)
        fake::fail_calls(fake::call::accept, WSAENOBUFS, 1000);
    fake::hold_packets(wanted == state::packet_waits);
    if (wanted != state::waits)
        clients(1, 2);
    if (wanted == state::silent || wanted == state::disabled)
        turns(3);
}

// Connections that have come to the listener, and to no callback, when its base goes: accept() takes one at a time.
size_t never_told_of(state when)
{
    switch (when) {
    case state::packet_waits:
    case state::packet_taken:
    case state::error_waits:
        return 2;
    case state::looked_at:
        return 1;
    default:
        return 0;
    }
}

// The listener, its socket or its base goes with accepts in flight, connections that wait for their first data, packets
// that were not taken, and connections that nobody was told of (`between`), by AcceptEx or by accept().
void freed_in_every_state(void **)
{
    for (int which = 0; which < static_cast<int>(state::count); ++which)
        for (int how = 0; how < static_cast<int>(end::count); ++how) {
            fake::boot(1);
            open_world(0);
            base_goes = false;
            reach(static_cast<state>(which));
            between = [&] { finish(static_cast<end>(how)); };
            if (which == static_cast<int>(state::packet_taken) || which == static_cast<int>(state::error_waits) ||
                which == static_cast<int>(state::looked_at)) {
                struct event *early = event_new(w.base, -1, 0, on_between, nullptr);
                event_priority_set(early, 0);
                event_active(early, EV_TIMEOUT, 1);
                turn(w.base);
                event_free(early);
            } else {
                between();
            }
            fake::hold_packets(false);
            fake::release_all();
            if (!base_goes)
                turns(2);
            assert_int_equal(w.accepted.size(), 0);
            event_base_free(w.base);
            if (base_goes ? fake::complaint_after_base_free() : fake::complaint_after_free())
                fail_msg("%s (state %d, end %d)", fake::complaint(), which, how);
            // What AcceptEx had been given, or had connected, is closed; only the listener's own socket is the
            // program's. A listener that has outlived its base still has what it has told nobody of.
            size_t left = base_goes ? never_told_of(static_cast<state>(which)) : 0;
            assert_int_equal(fake::sockets_open(), left + (fake::is_open(w.socket) ? 1 : 0));
        }
}

void freed_or_disabled_when_told(void **)
{
    for (int frees = 0; frees < 2; ++frees) {
        fake::boot(1);
        open_world(LEV_OPT_CLOSE_ON_FREE);
        w.free_when_told = frees != 0;
        w.disable_when_told = frees == 0;
        turns(1);
        clients(1, 10);
        turns(5);
        assert_int_equal(w.accepted.size(), 1);
        w.disable_when_told = false;
        if (frees == 0) {
            evconnlistener_enable(w.listener);
            turns(10);
            assert_int_equal(w.accepted.size(), 10);
            evconnlistener_free(w.listener);
        }
        event_base_free(w.base);
        assert_null(fake::complaint_after_free());
        assert_int_equal(fake::sockets_open(), 0);
    }
}

// A peer that has gone is no error of the listener.
void dead_peers_are_nobodys_concern(void **)
{
    open_world(LEV_OPT_CLOSE_ON_FREE);
    turns(1);
    for (uint16_t i = 0; i < 20; ++i)
        clients(static_cast<uint16_t>(100 + 10 * i), 5, i % 2 != 0 ? fake::fate_reset : fake::fate_deleted);
    clients(1, 3);
    turns(20);
    assert_true(w.accepted == std::vector<uint16_t>({1, 2, 3}));
    assert_int_equal(w.errors, 0);
    close_world();
}

// Nor is one that goes when its connection is there and was not taken yet.
void dead_at_the_last_step(void **)
{
    open_world(LEV_OPT_CLOSE_ON_FREE);
    turns(1);
    clients(1, 2);
    fake::peer_resets(fake::socket_of_client(1));
    turns(3);
    fake::fail_calls(fake::call::finish_accept, WSAENOTSOCK);
    clients(3, 2);
    turns(5);
    assert_true(w.accepted == std::vector<uint16_t>({2, 4}));
    assert_int_equal(w.errors, 0);
    assert_int_equal(fake::sockets_open(), 1 + fake::accepts_waiting(w.socket));
    close_world();
}

// Resets refused within the call, more of them than one turn tries.
void resets_at_once(void **)
{
    open_world(LEV_OPT_CLOSE_ON_FREE);
    fake::fail_calls(fake::call::accept, WSAECONNRESET, 3 * max_accepts);
    turns(5);
    assert_true(fake::accepts_waiting(w.socket) >= min_accepts);
    clients(1, 1);
    turns(1);
    assert_int_equal(w.accepted.size(), 1);
    assert_int_equal(w.errors, 0);
    close_world();
}

// Thirty resets a millisecond, the loop turning once in each: the backlog does not fill, and whoever comes then waits
// no longer than a few turns.
void storm_of_resets(void **)
{
    constexpr size_t backlog = 128;
    open_world(LEV_OPT_CLOSE_ON_FREE);
    turns(1);
    size_t most = 0;
    for (uint16_t round = 0; round < 200; ++round) {
        clients(static_cast<uint16_t>(100 + 30 * round), 30, fake::fate_reset);
        most = fake::clients_waiting(w.socket) > most ? fake::clients_waiting(w.socket) : most;
        turns(1);
    }
    assert_true(most < backlog);
    clients(1, 1);
    turns(4);
    assert_int_equal(w.accepted.size(), 1);
    turns(static_cast<int>(max_accepts) * 5); // and it is as before, when the storm is over
    clients(2, static_cast<uint16_t>(max_accepts));
    turns(max_accepts);
    assert_int_equal(fake::accepts_waiting(w.socket),
                     acceptor_find(backend_of(w.base), static_cast<evutil_socket_t>(w.socket))->depth);
    close_world();
}

// What AcceptEx makes may have the listener's mode after its last step, or not.
void accepted_sockets_have_the_mode_asked_for(void **)
{
    for (unsigned flags : {0u, unsigned{LEV_OPT_LEAVE_SOCKETS_BLOCKING}}) {
        fake::boot(1);
        open_world(flags);
        for (uint16_t port = 1; port <= 20; ++port) {
            turns(2); // one by one, as long as accepts are in flight
            clients(port, 1);
        }
        turns(2);
        assert_int_equal(w.accepted.size(), 20);
        assert_int_equal(fake::calls(fake::call::accept_now), 0);
        close_world();
    }
}

void check_goes_without_accept_ex()
{
    turns(3);
    assert_int_equal(fake::accepts_waiting(w.socket), 0);
    uint64_t before = fake::calls(fake::call::accept);
    clients(10, 5);
    turns(10);
    assert_int_equal(fake::calls(fake::call::accept), before);
    for (uint16_t port = 10; port < 15; ++port)
        assert_int_equal(std::count(w.accepted.begin(), w.accepted.end(), port), 1);
    assert_int_equal(w.errors, 0);
}

// Whatever its accepts in flight are at: who was connected is told of once, but for those that had said nothing.
void a_listener_does_without_accept_ex(void **)
{
    for (state which : {state::waits, state::silent, state::packet_waits, state::disabled, state::looked_at}) {
        fake::boot(1);
        open_world(LEV_OPT_CLOSE_ON_FREE);
        reach(which);
        assert_int_equal(evconnlistener_iocp_avoid_acceptex(w.listener), 0);
        fake::release_all();
        fake::hold_packets(false);
        turns(3);
        assert_int_equal(fake::accepts_waiting(w.socket), 0);
        if (which == state::disabled)
            evconnlistener_enable(w.listener);
        check_goes_without_accept_ex();
        assert_int_equal(evconnlistener_iocp_avoid_acceptex(w.listener), 0); // again
        bool all_are_told = which != state::waits && which != state::silent;
        for (uint16_t port = 1; port <= 2; ++port)
            assert_int_equal(std::count(w.accepted.begin(), w.accepted.end(), port), all_are_told);
        close_world();
    }
}

void all_listeners_do_without_accept_ex(void **)
{
    for (const char *value : {"EVENT_IOCP_NO_ACCEPTEX=1", "EVENT_IOCP_NO_ACCEPTEX=0", "EVENT_IOCP_NO_ACCEPTEX="}) {
        fake::boot(1);
        _putenv(value);
        open_world(LEV_OPT_CLOSE_ON_FREE);
        turns(2);
        if (value[strlen(value) - 1] == '1')
            check_goes_without_accept_ex();
        else
            assert_true(fake::accepts_waiting(w.socket) > 0);
        close_world();
    }
}

void a_base_on_select_has_none_to_avoid(void **)
{
    struct event_base *plain = make_base(as_always);
    SOCKET socket = fake::open_socket(fake::kind::listener);
    struct evconnlistener *listener =
        evconnlistener_new(plain, on_accept, nullptr, 0, 0, static_cast<evutil_socket_t>(socket));
    assert_int_equal(evconnlistener_iocp_avoid_acceptex(listener), -1);
    assert_int_equal(WSAGetLastError(), WSAEOPNOTSUPP);
    evconnlistener_free(listener);
    event_base_free(plain);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(freed_in_every_state, set_up_kernel),
        cmocka_unit_test_setup(freed_or_disabled_when_told, set_up_kernel),
        cmocka_unit_test_setup(dead_peers_are_nobodys_concern, set_up_kernel),
        cmocka_unit_test_setup(dead_at_the_last_step, set_up_kernel),
        cmocka_unit_test_setup(resets_at_once, set_up_kernel),
        cmocka_unit_test_setup(storm_of_resets, set_up_kernel),
        cmocka_unit_test_setup(accepted_sockets_have_the_mode_asked_for, set_up_kernel),
        cmocka_unit_test_setup(a_listener_does_without_accept_ex, set_up_kernel),
        cmocka_unit_test_setup(all_listeners_do_without_accept_ex, set_up_kernel),
        cmocka_unit_test_setup(a_base_on_select_has_none_to_avoid, set_up_kernel),
    };
    return cmocka_run_group_tests_name("acceptor states", tests, nullptr, nullptr);
}
