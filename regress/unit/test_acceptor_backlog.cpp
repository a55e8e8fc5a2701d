// A listener on the fake kernel takes what waits in the backlog by accept(): when that is tried and when not, what
// comes of it, and how many accepts are in flight beside it.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

#include "event2/iocp.h"

#include "bufferevent/acceptor_backlog.h"

using namespace iocp;

namespace {

struct world {
    struct event_base *base;
    struct evconnlistener *listener;
    SOCKET socket;
    unsigned flags;
    std::vector<uint16_t> accepted;
    int errors;
    uint16_t disable_at;
};

world w;

void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *)
{
    auto socket = static_cast<SOCKET>(fd);
    uint16_t port = ntohs(reinterpret_cast<struct sockaddr_in *>(address)->sin_port);
    assert_int_equal(length, sizeof(struct sockaddr_in));
    assert_int_equal(address->sa_family, AF_INET);
    assert_true(sys::is_connected(socket));
    assert_int_equal(fake::socket_of_client(port), socket);
    assert_int_equal(fake::is_inherited(socket), (w.flags & LEV_OPT_CLOSE_ON_EXEC) == 0);
    assert_int_equal(fake::never_blocks(socket), (w.flags & LEV_OPT_LEAVE_SOCKETS_BLOCKING) == 0);
    w.accepted.push_back(port);
    evutil_closesocket(fd);
    if (port == w.disable_at)
        evconnlistener_disable(listener);
}

void on_error(struct evconnlistener *, void *)
{
    ++w.errors;
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(w.base);
    }
}

void open_world(unsigned flags = 0)
{
    w = world();
    w.base = make_base(on_iocp);
    w.flags = flags | LEV_OPT_CLOSE_ON_FREE;
    w.socket = fake::open_socket(fake::kind::listener);
    w.listener = evconnlistener_new(w.base, on_accept, nullptr, w.flags, 0, static_cast<evutil_socket_t>(w.socket));
    evconnlistener_set_error_cb(w.listener, on_error);
    turns(1);
}

void close_world()
{
    evconnlistener_free(w.listener);
    event_base_free(w.base);
    assert_null(fake::complaint_after_free());
    assert_int_equal(fake::sockets_open(), 0);
}

void clients(unsigned first, unsigned count, nt_status fate = fake::fate_taken, const char *said = "")
{
    for (unsigned port = first; port < first + count; ++port)
        fake::client_arrives(w.socket, {static_cast<uint16_t>(port), fate, said});
}

unsigned probes()
{
    return static_cast<unsigned>(fake::calls(fake::call::accept_now));
}

unsigned depth()
{
    return acceptor_find(backend_of(w.base), static_cast<evutil_socket_t>(w.socket))->depth;
}

void accepted_in_order(unsigned first, unsigned count)
{
    assert_int_equal(w.accepted.size(), count);
    for (unsigned i = 0; i < count; ++i)
        assert_int_equal(w.accepted[i], first + i);
}

// A burst is there after one turn, in the order of the connects, with addresses, and as the listener's flags say (see
// on_accept). Nothing is asked of the kernel but what brings connections, and that there are no more.
void bursts_in_one_turn(void **)
{
    for (unsigned flags : {0u, static_cast<unsigned>(LEV_OPT_LEAVE_SOCKETS_BLOCKING)}) {
        fake::boot(1);
        open_world(flags);
        uint64_t options = fake::calls(fake::call::plain_option);
        clients(1, 20);
        turns(1);
        accepted_in_order(1, 20);
        assert_int_equal(probes(), 20 - min_accepts + 1);
        turns(3);
        assert_int_equal(probes(), 20 - min_accepts + 2); // once more before accepts are started again
        assert_int_equal(fake::accepts_waiting(w.socket), depth());
        assert_int_equal(fake::calls(fake::call::plain_option), options);
        assert_int_equal(w.errors, 0);
        close_world();
    }
}

// One that is looked at when another callback disables the listener is nobody's: no child process keeps it open.
void none_is_inherited_before_it_is_told_of(void **)
{
    open_world();
    assert_int_equal(fake::accepts_waiting(w.socket), min_accepts);
    assert_int_equal(fake::sockets_inherited(), 1); // the listening one
    clients(1, 10);
    turns(1);
    clients(11, 1);
    struct event *disabling = event_new(
        w.base, -1, 0, [](evutil_socket_t, short, void *) { evconnlistener_disable(w.listener); }, nullptr);
    event_active(disabling, EV_TIMEOUT, 1);
    turn(w.base);
    assert_int_equal(fake::sockets_open(), 2);
    assert_int_equal(fake::sockets_inherited(), 1);
    accepted_in_order(1, 10);
    evconnlistener_enable(w.listener);
    turns(2);
    accepted_in_order(1, 11); // and is inherited as accept() has it (see on_accept)
    event_free(disabling);
    close_world();
}

// Nothing is asked of the kernel that is so already.
void one_call_more_for_what_accept_has_not_made(void **)
{
    open_world();
    clients(1, 20);
    turns(4);
    assert_int_equal(fake::calls(fake::call::set_inherited), min_accepts);
    close_world();
}

// What accept() makes could be inherited before it is said that it must not be.
void none_that_a_child_may_inherit(void **)
{
    open_world(LEV_OPT_CLOSE_ON_EXEC);
    clients(1, 20);
    turns(10);
    accepted_in_order(1, 20);
    assert_int_equal(probes(), 0);
    assert_int_equal(fake::calls(fake::call::set_inherited), 0);
    close_world();
}

// While an accept in flight has not ended, nothing can wait, and nobody asks.
void no_probe_for_single_ones(void **)
{
    open_world();
    for (unsigned i = 0; i < 50; ++i) {
        clients(1 + i, 1);
        turns(1);
    }
    accepted_in_order(1, 50);
    assert_int_equal(probes(), 0);
    close_world();
}

// Peers that connect and reset are such as well.
void bounded(nt_status fate)
{
    fake::boot(1);
    open_world();
    clients(1, min_accepts);
    clients(1000, max_taken_in_turn + 50, fate);
    uint64_t starts = fake::calls(fake::call::accept);
    turns(1);
    assert_int_equal(probes(), max_taken_in_turn);
    assert_int_equal(fake::clients_waiting(w.socket), 50);
    assert_int_equal(fake::calls(fake::call::accept), starts); // no dear ones for those that wait
    turns(1);
    assert_int_equal(fake::clients_waiting(w.socket), 0);
    turns(2);
    unsigned in_vain = fate == fake::fate_taken ? 2 : 1; // after the last one; and before accepts are started again
    assert_int_equal(probes(), max_taken_in_turn + 50 + in_vain);
    assert_int_equal(fake::accepts_waiting(w.socket), depth());
    assert_int_equal(w.accepted.size(), min_accepts + (fate == fake::fate_taken ? max_taken_in_turn + 50 : 0));
    assert_int_equal(w.errors, 0);
    close_world();
}

void others_get_their_turn(void **)
{
    bounded(fake::fate_taken);
    bounded(fake::fate_reset);
    bounded(fake::fate_deleted);
}

void gone_peers_are_skipped(void **)
{
    open_world();
    clients(1, 3);
    clients(100, 2, fake::fate_reset);
    clients(4, 1);
    clients(102, 2, fake::fate_deleted);
    clients(5, 2);
    turns(1);
    accepted_in_order(1, 6);
    assert_int_equal(w.errors, 0);
    close_world();
}

// All that were in flight brought peers that have gone: those behind them do not have to wait for another turn.
void gone_peers_hide_nobody(void **)
{
    open_world();
    clients(100, min_accepts, fake::fate_reset);
    clients(1, 5);
    turns(1);
    accepted_in_order(1, 5);
    close_world();
}

// The last step of one, which is to block as its listener must not, is refused: it is closed, and the next one comes. That
// it was for want of memory is told.
void last_step_refused(void **)
{
    for (bool for_want : {false, true}) {
        fake::boot(1);
        open_world(LEV_OPT_LEAVE_SOCKETS_BLOCKING);
        clients(1, 5);
        int error = for_want ? WSAENOBUFS : WSAENOTSOCK;
        fake::fail_calls(fake::call::set_blocking, error, 1, min_accepts); // those come by AcceptEx
        turns(for_want ? 200 : 1);
        assert_true(w.accepted == std::vector<uint16_t>({1, 2, 4, 5}));
        assert_int_equal(w.errors, for_want);
        close_world();
    }
}

// What else may be wrong is for AcceptEx to say.
void other_errors(void **)
{
    for (int error : {WSAENETDOWN, WSAEINVAL, WSAEFAULT}) {
        fake::boot(1);
        open_world();
        fake::fail_calls(fake::call::accept_now, error, 1000);
        clients(1, 20);
        turns(20);
        accepted_in_order(1, 20);
        assert_int_equal(w.errors, 0);
        assert_true(probes() <= 20);
        close_world();
    }
}

// accept() could wait for ever on this one.
void a_listener_that_may_block(void **)
{
    fake::fail_calls(fake::call::set_blocking, WSAENOTSOCK);
    open_world();
    clients(1, 50);
    turns(10);
    accepted_in_order(1, 50);
    assert_int_equal(probes(), 0);
    close_world();
}

// Silent peers would come without the data that were asked for.
void first_data_come_by_accepts_alone(void **)
{
    open_world();
    evconnlistener_iocp_set_first_data(w.listener, 64, nullptr);
    turns(1);
    clients(1, 30, fake::fate_taken, "data");
    clients(100, 10);
    clients(31, 30, fake::fate_taken, "data");
    turns(30);
    assert_int_equal(w.accepted.size(), 60);
    assert_int_equal(probes(), 0);
    evconnlistener_iocp_set_first_data(w.listener, 0, nullptr);
    turns(2);
    clients(200, 30);
    turns(2);
    assert_int_equal(w.accepted.size(), 90);
    assert_true(probes() > 0);
    close_world();
}

// It is looked for anew when it is enabled again.
void disabled_in_a_burst(void **)
{
    open_world();
    w.disable_at = 5;
    clients(1, 20);
    turns(5);
    accepted_in_order(1, 5);
    evconnlistener_enable(w.listener);
    turns(1);
    accepted_in_order(1, 20);
    close_world();
}

void turns_with(unsigned rate, int count)
{
    for (int i = 0; i < count; ++i) {
        clients(1, rate);
        turns(1);
    }
}

// How many accepts are in flight follows the rate of connects, as a share of it.
void depth_follows_the_rate(void **)
{
    open_world();
    turns_with(min_accepts * connections_per_accept, 20);
    assert_int_equal(depth(), min_accepts);
    turns_with(40, 20);
    assert_true(depth() >= 40 / connections_per_accept && depth() <= 40 / connections_per_accept * 2);
    turns(2); // the last of the backlog is taken, and accepts are started again
    assert_int_equal(depth(), fake::accepts_waiting(w.socket));
    turns_with(2 * max_taken_in_turn, 20);
    assert_in_range(depth(), max_accepts - 1, max_accepts); // a look in vain makes it one less
    turns_with(1, 5 * static_cast<int>(max_accepts));
    assert_int_equal(depth(), min_accepts);
    close_world();
}

// A loop that is to return once something has happened goes on waiting when nobody has come.
void nobody_is_not_news(void **)
{
    open_world();
    clients(1, 10);
    turns(1);
    size_t waits = fake::waits().size();
    struct timeval tenth = {0, 100000};
    event_base_loopexit(w.base, &tenth);
    event_base_loop(w.base, EVLOOP_ONCE);
    accepted_in_order(1, 10);
    assert_true(fake::waits().size() > waits && fake::waits().back() >= 50000);
    assert_int_equal(fake::accepts_waiting(w.socket), depth());
    close_world();
}

// As long as somebody waits each time, none takes the dear way. As soon as nobody does, accepts wait, and are enough
// for single ones.
void no_accepts_under_load(void **)
{
    open_world();
    clients(1, 10);
    turns(1);
    uint64_t starts = fake::calls(fake::call::accept);
    for (unsigned i = 0; i < 20; ++i) {
        clients(11 + i, 1);
        event_base_loop(w.base, EVLOOP_ONCE); // the next one comes before there was nothing to do
    }
    accepted_in_order(1, 30);
    assert_int_equal(fake::calls(fake::call::accept), starts);
    turns(2);
    assert_int_equal(fake::accepts_waiting(w.socket), depth());
    unsigned before = probes();
    turns_with(1, 5);
    assert_int_equal(w.accepted.size(), 35);
    assert_int_equal(probes(), before);
    close_world();
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bursts_in_one_turn, set_up_kernel),
        cmocka_unit_test_setup(none_that_a_child_may_inherit, set_up_kernel),
        cmocka_unit_test_setup(none_is_inherited_before_it_is_told_of, set_up_kernel),
        cmocka_unit_test_setup(one_call_more_for_what_accept_has_not_made, set_up_kernel),
        cmocka_unit_test_setup(no_probe_for_single_ones, set_up_kernel),
        cmocka_unit_test_setup(others_get_their_turn, set_up_kernel),
        cmocka_unit_test_setup(gone_peers_are_skipped, set_up_kernel),
        cmocka_unit_test_setup(gone_peers_hide_nobody, set_up_kernel),
        cmocka_unit_test_setup(last_step_refused, set_up_kernel),
        cmocka_unit_test_setup(other_errors, set_up_kernel),
        cmocka_unit_test_setup(a_listener_that_may_block, set_up_kernel),
        cmocka_unit_test_setup(first_data_come_by_accepts_alone, set_up_kernel),
        cmocka_unit_test_setup(disabled_in_a_burst, set_up_kernel),
        cmocka_unit_test_setup(nobody_is_not_news, set_up_kernel),
        cmocka_unit_test_setup(no_accepts_under_load, set_up_kernel),
        cmocka_unit_test_setup(depth_follows_the_rate, set_up_kernel),
    };
    return cmocka_run_group_tests_name("acceptor backlog", tests, nullptr, nullptr);
}
