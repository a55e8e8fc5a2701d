// How many callbacks of busy connections a quiet one, an accept or a signal waits for: no more than on select.
#include "support/check.h"

#include <signal.h>

#include "support/bases.h"

using namespace iocp;

namespace {

struct event_base *base;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    event_base_free(base);
    return check_nothing_is_left();
}

constexpr int64_t windows_look_us = 1; // some 0.4 us
constexpr int64_t busy_callback_us = 200;

int callbacks_run, arrives_after;
int waited_for; // callbacks, from its arrival to its own: -1 until then
void (*arrive)();
SOCKET quiet_socket;

void on_busy(evutil_socket_t, short, void *)
{
    fake::advance_us(busy_callback_us);
    if (++callbacks_run == arrives_after)
        arrive();
}

void told()
{
    if (waited_for < 0)
        waited_for = callbacks_run - arrives_after;
}

void on_quiet(evutil_socket_t, short, void *)
{
    told();
}

void on_quiet_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    evutil_closesocket(fd);
    told();
}

// The most that it waited for, wherever in a turn it came.
int longest_wait(int busy)
{
    int longest = 0;
    for (int at = 1; at <= busy && at <= 12; ++at) {
        callbacks_run = 0;
        waited_for = -1;
        arrives_after = busy * 70 + at; // turns are in their stride then
        for (int turns = 0; waited_for < 0; ++turns) {
            assert_true(turns < 1000);
            event_base_loop(base, EVLOOP_ONCE);
        }
        longest = waited_for > longest ? waited_for : longest;
        fake::set_level(quiet_socket, 0);
        turn_to_port(base);
    }
    return longest;
}

// select would have the rest of a turn run, and at worst all that is ready in the next. A look costs here what it costs
// on Windows.
void check_waits_as_on_select()
{
    std::vector<struct event *> busy;
    fake::set_look_cost_us(windows_look_us);
    for (size_t count : {size_t(1), size_t(10), size_t(100)}) {
        while (busy.size() < count) {
            auto fd = static_cast<evutil_socket_t>(fake::open_socket(fake::kind::stream, sys::afd_send));
            busy.push_back(event_new(base, fd, EV_WRITE | EV_PERSIST, on_busy, nullptr));
            event_add(busy.back(), nullptr);
        }
        turn_to_port(base);
        assert_in_range(longest_wait(static_cast<int>(count)), 0, 2 * count - 1);
    }
    for (struct event *each : busy)
        event_free(each);
}

void a_quiet_connection_waits_as_on_select(void **)
{
    quiet_socket = fake::open_socket(fake::kind::stream);
    arrive = [] { fake::set_level(quiet_socket, sys::afd_receive); };
    struct event *quiet =
        event_new(base, static_cast<evutil_socket_t>(quiet_socket), EV_READ | EV_PERSIST, on_quiet, nullptr);
    event_add(quiet, nullptr);
    check_waits_as_on_select();
    event_free(quiet);
}

void an_accept_waits_as_on_select(void **)
{
    quiet_socket = fake::open_socket(fake::kind::listener);
    arrive = [] {
        static uint16_t port;
        fake::client_arrives(quiet_socket, {++port, fake::fate_taken, ""});
    };
    struct evconnlistener *listener = evconnlistener_new(base, on_quiet_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 0,
                                                         static_cast<evutil_socket_t>(quiet_socket));
    check_waits_as_on_select();
    evconnlistener_free(listener);
}

void a_signal_waits_as_on_select(void **)
{
    quiet_socket = fake::open_socket(fake::kind::stream); // nothing comes to it
    arrive = [] { raise(SIGTERM); };
    struct event *quiet = evsignal_new(base, SIGTERM, on_quiet, nullptr);
    event_add(quiet, nullptr);
    check_waits_as_on_select();
    event_free(quiet);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_quiet_connection_waits_as_on_select, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_accept_waits_as_on_select, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signal_waits_as_on_select, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
