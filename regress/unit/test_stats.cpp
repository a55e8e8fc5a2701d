// What can be seen of a base from outside: its counters, and each operation in libevent's debug log.
#include "support/check.h"

#include "support/bases.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

constexpr int max_turns = 400;

struct event_base *base;
std::vector<std::string> told;

void on_log(int severity, const char *message)
{
    if (severity == EVENT_LOG_DEBUG && strncmp(message, "iocp: ", 6) == 0)
        told.push_back(message + 6);
}

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    told.clear();
    base = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    event_enable_debug_logging(EVENT_DBG_NONE);
    event_base_free(base);
    return check_nothing_is_left();
}

struct event_iocp_stats stats()
{
    struct event_iocp_stats now;
    assert_int_equal(event_iocp_get_stats(base, &now, sizeof(now)), 0);
    return now;
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(base);
    }
}

struct bufferevent *connected(SOCKET *socket)
{
    *socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(*socket);
    struct bufferevent *made =
        bufferevent_socket_new(base, static_cast<evutil_socket_t>(*socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(made, EV_READ);
    turns(2);
    return made;
}

ev_uint64_t in_flight(const struct event_iocp_stats &now)
{
    return now.polls.in_flight + now.receives.in_flight + now.sends.in_flight + now.connects.in_flight +
           now.accepts.in_flight;
}

void counters_follow_the_operations(void **)
{
    assert_int_equal(in_flight(stats()), 0);
    SOCKET socket;
    struct bufferevent *bev = connected(&socket);
    struct event_iocp_stats before = stats();
    assert_int_equal(before.receives.in_flight, 1);
    assert_int_equal(before.sockets, 1);
    assert_int_equal(in_flight(before), fake::operations_in_flight());

    fake::peer_sends(socket, "words");
    fake::set_send_room(socket, 0);
    bufferevent_write(bev, "more words", 10);
    turns(3);
    struct event_iocp_stats after = stats();
    assert_true(after.turns > before.turns && after.packets > before.packets);
    assert_true(after.waits + after.looks > before.waits + before.looks);
    assert_true(after.receives.started > before.receives.started);
    assert_int_equal(after.receives.failed, 0);
    assert_int_equal(after.sends.started, 1);
    assert_int_equal(after.sends.in_flight, 1);
    assert_int_equal(in_flight(after), fake::operations_in_flight());

    bufferevent_free(bev);
    assert_int_equal(stats().lingering_bytes, 10);
    fake::set_send_room(socket, SIZE_MAX);
    turns(5);
    struct event_iocp_stats at_end = stats();
    assert_int_equal(at_end.receives.cancelled, 1);
    assert_int_equal(at_end.sends.cancelled, 0);
    assert_int_equal(in_flight(at_end), 0);
    assert_int_equal(at_end.lingering_bytes, 0);
}

void failures_and_polls_are_counted(void **)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    counted *plain = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ | EV_PERSIST);
    event_add(plain->registered, nullptr);
    for (int i = 0; i < max_turns && stats().polls.in_flight == 0; ++i)
        turns(1);
    assert_int_equal(stats().polls.in_flight, 1);
    free_counted(plain);
    turns(2);
    assert_int_equal(stats().polls.cancelled, 1);
    fake::close_by_program(socket);

    struct bufferevent *bev = connected(&socket);
    fake::peer_resets(socket);
    turns(3);
    assert_int_equal(stats().receives.failed, 1);
    bufferevent_free(bev);
}

// A program and its library may be of different versions.
void structs_of_other_sizes(void **)
{
    turns(1);
    struct {
        struct event_iocp_stats known;
        ev_uint64_t of_later;
    } larger;
    memset(&larger, 0xff, sizeof(larger));
    assert_int_equal(event_iocp_get_stats(base, &larger.known, sizeof(larger)), 0);
    assert_true(larger.known.turns > 0);
    assert_int_equal(larger.of_later, 0);
    memset(&larger, 0xff, sizeof(larger));
    assert_int_equal(event_iocp_get_stats(base, &larger.known, sizeof(larger.known.turns)), 0);
    assert_true(larger.known.turns > 0 && larger.known.turns < 100);
    assert_true(larger.known.waits == UINT64_MAX);
}

void what_cannot_be_told(void **)
{
    struct event_iocp_stats now;
    struct event_base *plain = make_base(as_always);
    assert_int_equal(event_iocp_get_stats(plain, &now, sizeof(now)), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEOPNOTSUPP);
    event_base_free(plain);
    event_base_free(base);
    set_up(nullptr); // one on select leaves a block of libevent's own
    assert_int_equal(event_iocp_get_stats(base, &now, 0), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEINVAL);
    assert_int_equal(event_iocp_get_stats(base, nullptr, sizeof(now)), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEINVAL);
}

bool is_told(const std::string &text)
{
    for (const std::string &line : told)
        if (line.find(text) != std::string::npos)
            return true;
    return false;
}

void the_log_tells_of_each_operation(void **)
{
    event_set_log_callback(on_log);
    event_enable_debug_logging(EVENT_DBG_ALL);
    SOCKET socket;
    struct bufferevent *bev = connected(&socket);
    std::string on = " on " + std::to_string(static_cast<long long>(socket)) + " ";
    assert_true(is_told("receive" + on + "started"));
    fake::peer_sends(socket, "words");
    turns(2);
    assert_true(is_told("receive" + on + "ended") || is_told("receive" + on + "done at once: 5 bytes"));
    bufferevent_write(bev, "answer", 6);
    turns(2);
    assert_true(is_told("send" + on + "done at once: 6 bytes, error 0") ||
                is_told("send" + on + "ended: 6 bytes, error 0"));
    bufferevent_free(bev);
    assert_true(is_told("receive" + on + "cancelled"));
    turns(2);
    assert_true(is_told("let go"));
}

} // namespace

int main()
{
#define STATS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STATS_TEST(counters_follow_the_operations),  STATS_TEST(failures_and_polls_are_counted),
        STATS_TEST(structs_of_other_sizes),          STATS_TEST(what_cannot_be_told),
        STATS_TEST(the_log_tells_of_each_operation),
    };
    return cmocka_run_group_tests_name("stats", tests, nullptr, nullptr);
}
