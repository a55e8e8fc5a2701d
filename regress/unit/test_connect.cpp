// Connects on the fake kernel: bufferevent_socket_connect on top of ConnectEx. Whatever comes of a connect, when, and
// whatever the program does meanwhile, it is told once, with the right error, and of a connection that is whole.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

using namespace iocp;

namespace {

constexpr int connections = 4;
constexpr int max_settling_turns = 2000;

constexpr nt_status pending = fake::status_pending;

struct outcome {
    nt_status status;
    int error; // what the program is told; 0: it is connected
};

constexpr outcome outcomes[] = {
    {0, 0},
    {0, 0},
    {static_cast<nt_status>(0xC0000236), WSAECONNREFUSED},
    {static_cast<nt_status>(0xC00000B5), WSAETIMEDOUT},
    {static_cast<nt_status>(0xC000020D), WSAECONNRESET},
    {pending, 0}, // until the end, when it succeeds
};

struct attempt {
    struct event_base *base;
    struct bufferevent *bev; // NULL: freed
    SOCKET socket;
    bool owned;
    bool asked;    // since it has this socket
    int expected;  // error
    int connected; // how often told, of this socket
    int failed;
    int error;
    bool was_whole;
    bool free_when_told;
    std::string delivered; // to sockets that it had before
    std::string written;   // into the bufferevent, ever
    std::string peer_sent; // on the present socket
    std::string read;
};

uint64_t seed;

void fails(const char *what)
{
    fail_msg("%s, seed %u", what, static_cast<unsigned>(seed));
}

void let_go(attempt *one)
{
    bool closes = one->owned && bufferevent_getfd(one->bev) == static_cast<evutil_socket_t>(one->socket);
    bufferevent_free(one->bev);
    one->bev = nullptr;
    if (!closes)
        fake::close_by_program(one->socket);
}

void on_read(struct bufferevent *bev, void *argument)
{
    auto *one = static_cast<attempt *>(argument);
    char bytes[256];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        one->read.append(bytes, got);
    if (one->connected == 0)
        fails("bytes before the connection was told of");
}

void on_event(struct bufferevent *, short what, void *argument)
{
    int error = EVUTIL_SOCKET_ERROR();
    auto *one = static_cast<attempt *>(argument);
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        ++one->connected;
        one->was_whole = sys::is_connected(one->socket);
    } else {
        ++one->failed;
        one->error = error;
    }
    if (one->free_when_told)
        let_go(one);
}

SOCKET new_socket()
{
    return fake::open_socket(fake::kind::stream);
}

void open_attempt(attempt *one, struct event_base *base, int options)
{
    *one = attempt();
    one->base = base;
    one->socket = new_socket();
    one->owned = (options & BEV_OPT_CLOSE_ON_FREE) != 0;
    evutil_socket_t first = fake::happens(500) ? static_cast<evutil_socket_t>(one->socket) : -1;
    one->bev = bufferevent_socket_new(base, first, options);
    bufferevent_setcb(one->bev, on_read, nullptr, on_event, one);
}

void ask(attempt *one, const outcome &next)
{
    struct sockaddr_in peer = {};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(7);
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bufferevent_getfd(one->bev) < 0)
        bufferevent_setfd(one->bev, static_cast<evutil_socket_t>(one->socket));
    fake::k().connect_result = next.status; // those that wait for the end go on waiting
    int result = bufferevent_socket_connect(one->bev, reinterpret_cast<struct sockaddr *>(&peer), sizeof(peer));
    one->asked = result == 0;
    one->error = EVUTIL_SOCKET_ERROR();
    one->expected = next.error;
}

// Another socket, not connected, in place of the present one, of whose connect nothing is heard any more. What was
// written and not sent goes there.
void replace_socket(attempt *one)
{
    SOCKET old = one->socket;
    bufferevent_setfd(one->bev, -1);
    one->delivered += fake::sent(old);
    fake::close_by_program(old);
    one->socket = new_socket();
    one->asked = false;
    one->connected = one->failed = 0;
    one->peer_sent.clear();
    one->read.clear();
    struct evbuffer *input = bufferevent_get_input(one->bev);
    evbuffer_drain(input, evbuffer_get_length(input));
}

std::string some_bytes()
{
    std::string bytes(1 + fake::random() % 2000, ' ');
    for (char &byte : bytes)
        byte = static_cast<char>(fake::random());
    return bytes;
}

void step(attempt *one)
{
    std::string bytes;
    switch (fake::random() % 10) {
    case 0:
    case 1:
        if (!one->asked)
            ask(one, outcomes[fake::random() % (sizeof(outcomes) / sizeof(outcomes[0]))]);
        break;
    case 2:
        if (one->failed != 0)
            break; // to write on after a failure is to be told of it again, on select as well
        bytes = some_bytes();
        one->written += bytes;
        bufferevent_write(one->bev, bytes.data(), bytes.size());
        break;
    case 3:
        if (one->failed == 0)
            bufferevent_enable(one->bev, EV_READ | EV_WRITE);
        break;
    case 4:
        bufferevent_disable(one->bev, fake::happens(500) ? EV_READ : EV_WRITE);
        break;
    case 5:
        if (fake::happens(200))
            replace_socket(one);
        break;
    case 6:
        if (fake::happens(100))
            let_go(one);
        break;
    default:
        if (fake::find_socket(one->socket)->connected) {
            bytes = some_bytes();
            one->peer_sent += bytes;
            fake::peer_sends(one->socket, bytes);
        }
        break;
    }
}

bool is_settled(const attempt &one)
{
    if (one.bev == nullptr || !one.asked)
        return true;
    if (one.expected != 0)
        return one.failed == 1;
    return one.connected == 1 && one.read == one.peer_sent && one.delivered + fake::sent(one.socket) == one.written;
}

void settle(attempt *one)
{
    fake::set_connect_result(0);
    for (int turns = 0; turns < max_settling_turns && !is_settled(*one); ++turns) {
        if (one->expected == 0 || one->failed == 0)
            bufferevent_enable(one->bev, EV_READ | EV_WRITE);
        fake::advance_us(500);
        turn(one->base);
    }
    if (!is_settled(*one))
        fails("a connect is not told of, or its bytes do not arrive");
}

void check(const attempt &one)
{
    if (one.connected + one.failed > 1)
        fails("told more than once of one connect");
    if (one.connected + one.failed > 0 && !one.asked)
        fails("told of a connect that nobody asked for");
    if (one.connected == 1 && (one.expected != 0 || !one.was_whole))
        fails("told of a connection that is none");
    if (one.failed == 1 && one.error != one.expected)
        fails("told of another error");
    if (one.bev != nullptr && one.peer_sent.compare(0, one.read.size(), one.read) != 0)
        fails("bytes were read that were not sent so");
}

void run_seed()
{
    fake::boot(seed, fake::all_chances);
    struct event_base *base = make_base(on_iocp);
    attempt all[connections];
    for (attempt &one : all) {
        open_attempt(&one, base,
                     (fake::happens(700) ? int{BEV_OPT_CLOSE_ON_FREE} : 0) |
                         (fake::happens(300) ? int{BEV_OPT_DEFER_CALLBACKS} : 0));
        one.free_when_told = fake::happens(100);
    }
    for (int i = 0; i < 150; ++i) {
        attempt *one = &all[fake::random() % connections];
        if (one->bev != nullptr)
            step(one);
        if (fake::happens(500)) {
            fake::advance_us(200);
            turn(base);
        }
        check(*one);
    }
    bool base_first = fake::happens(200);
    for (attempt &one : all) {
        if (one.bev != nullptr && fake::happens(700))
            settle(&one);
        check(one);
        if (one.bev != nullptr && !base_first)
            let_go(&one);
    }
    event_base_free(base);
    if ((base_first ? fake::complaint_after_base_free() : fake::complaint_after_free()) != nullptr)
        fails(fake::complaint());
}

void each_connect_is_told_once(void **)
{
    for (seed = 1; seed <= 2000; ++seed)
        run_seed();
}

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
    ask(one, {wanted == state::waits ? pending : 0, 0});
    assert_true(one->asked);
}

// The bufferevent, its socket or its base goes at each moment of a connect. `between` runs after the packet was taken,
// and before the bufferevent is told.
void freed_in_every_state(void **)
{
    for (int which = 0; which < static_cast<int>(state::count); ++which)
        for (int how = 0; how < static_cast<int>(end::count); ++how)
            for (int owned = 0; owned < 2; ++owned) {
                fake::boot(seed = 1);
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
    for (const outcome &next : outcomes) {
        fake::boot(seed = 1, fake::no_chances);
        fake::k().odds.delayed = 1000;
        fake::k().odds.max_delay_us = 5000;
        fake::set_cancel_way(fake::cancel_way::loses);
        struct event_base *base = make_base(on_iocp);
        attempt one;
        open_attempt(&one, base, BEV_OPT_CLOSE_ON_FREE);
        ask(&one, next);
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
        told(&one);
        assert_int_equal(one.connected, 0);
        assert_int_equal(one.failed, 1);
    }
    assert_int_equal(one.error, error);
    let_go(&one);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void last_step_fails(void **)
{
    fake::boot(seed = 1);
    refused(fake::call::finish_connect, WSAENETDOWN, false);
    fake::boot(seed = 1);
    fake::k().odds.pends_although_ready = 1000;
    refused(fake::call::finish_connect, WSAENOTCONN, false);
}

void refused_at_once(void **)
{
    refused(fake::call::connect, WSAECONNREFUSED, false);
}

void fails_at_once(void **)
{
    refused(fake::call::connect, WSAENETUNREACH, true);
    fake::boot(seed = 1);
    refused(fake::call::connect, WSAENOBUFS, true);
    fake::boot(seed = 1);
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
        assert_int_equal(fake::polls_waiting(one.socket), 2); // both directions, until it is connected
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

int set_up(void **)
{
    fake::boot(seed = 1);
    catch_log();
    return 0;
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_connect_is_told_once, set_up),
        cmocka_unit_test_setup(freed_in_every_state, set_up),
        cmocka_unit_test_setup(cancels_that_lose, set_up),
        cmocka_unit_test_setup(last_step_fails, set_up),
        cmocka_unit_test_setup(refused_at_once, set_up),
        cmocka_unit_test_setup(fails_at_once, set_up),
        cmocka_unit_test_setup(descriptors_after_a_failure, set_up),
        cmocka_unit_test_setup(own_socket_after_a_failure, set_up),
    };
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    return cmocka_run_group_tests_name("connect", tests, nullptr, nullptr);
}
