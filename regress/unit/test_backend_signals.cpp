// Signals of bases on ports: no socket pair, nothing lost, old handlers put back.
#include "support/check.h"

#include <signal.h>

#include "support/bases.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

int old_handler_calls;

void __cdecl old_handler(int)
{
    ++old_handler_calls;
}

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    old_handler_calls = 0;
    signal(SIGINT, old_handler);
    signal(SIGTERM, old_handler);
    return 0;
}

int tear_down(void **)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    return check_nothing_is_left();
}

struct caught {
    struct event *registered;
    int count;
};

void on_signal_event(evutil_socket_t, short, void *argument)
{
    ++static_cast<caught *>(argument)->count;
}

void catch_signal(struct event_base *base, caught *with, int number)
{
    with->count = 0;
    with->registered = evsignal_new(base, number, on_signal_event, with);
    assert_int_equal(event_add(with->registered, nullptr), 0);
}

// True if the handler that was there before is there again.
bool old_handler_is_back(int number)
{
    void(__cdecl * now)(int) = signal(number, old_handler);
    return now == old_handler;
}

void without_sockets(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught interrupt;
    catch_signal(base, &interrupt, SIGINT);
    raise(SIGINT);
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(interrupt.count, 1);
    raise(SIGINT);
    raise(SIGINT);
    raise(SIGINT);
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(interrupt.count, 4);
    assert_int_equal(fake::calls(fake::call::port_post), 2);
    assert_int_equal(base->sig.ev_signal_pair[0], -1);
    assert_int_equal(old_handler_calls, 0);
    event_free(interrupt.registered);
    assert_true(old_handler_is_back(SIGINT));
    event_base_free(base);
}

void while_waiting(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught interrupt, terminate;
    catch_signal(base, &interrupt, SIGINT);
    catch_signal(base, &terminate, SIGTERM);
    for (int i = 1; i <= 5; ++i) {
        fake::at(fake::now_us() + 30, [] { raise(SIGINT); });
        fake::at(fake::now_us() + 90, [] { raise(SIGTERM); });
        event_base_loop(base, EVLOOP_ONCE);
        event_base_loop(base, EVLOOP_ONCE);
        assert_int_equal(interrupt.count, i);
        assert_int_equal(terminate.count, i);
    }
    event_del(interrupt.registered);
    assert_true(old_handler_is_back(SIGINT));
    raise(SIGTERM);
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(terminate.count, 6);
    event_free(interrupt.registered);
    event_free(terminate.registered);
    event_base_free(base);
}

void handlers_come_back_with_the_base(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught interrupt;
    catch_signal(base, &interrupt, SIGINT);
    raise(SIGINT); // caught, never handled
    event_base_free(base);
    assert_true(old_handler_is_back(SIGINT));
    raise(SIGINT);
    assert_int_equal(old_handler_calls, 1);
    mm_free(interrupt.registered); // event_free would look at its base
}

// Its packet is taken with that of what is in flight.
void freed_with_a_signal_on_its_way(void **)
{
    struct event_base *base = make_base(on_iocp);
    SOCKET socket = fake::open_socket(fake::kind::stream, 0);
    counted *watched = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ | EV_PERSIST);
    event_add(watched->registered, nullptr);
    turn_to_port(base);
    assert_int_equal(fake::operations_in_flight(), 1);
    caught interrupt;
    catch_signal(base, &interrupt, SIGINT);
    raise(SIGINT);
    event_base_free(base);
    assert_int_equal(interrupt.count, 0);
    assert_true(old_handler_is_back(SIGINT));
    mm_free(interrupt.registered);
    mm_free(watched->registered);
    delete watched;
}

// As on select, where it waits in the base's pair of sockets.
void what_was_caught_is_told_to_an_event_added_again(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught interrupt;
    catch_signal(base, &interrupt, SIGINT);
    raise(SIGINT);
    event_del(interrupt.registered);
    event_add(interrupt.registered, nullptr);
    turn_to_port(base);
    turn_to_port(base);
    assert_int_equal(interrupt.count, 1);
    raise(SIGINT);
    turn_to_port(base);
    assert_int_equal(interrupt.count, 2);
    event_free(interrupt.registered);
    event_base_free(base);
}

void add_again(evutil_socket_t, short, void *argument)
{
    auto *of = static_cast<caught *>(argument);
    ++of->count;
    event_add(of->registered, nullptr);
}

void raise_once_more(evutil_socket_t, short, void *)
{
    raise(SIGINT);
}

// It comes once more in the pass in which its event, which is none that persists, has been taken.
void a_signal_between_two_events_of_it(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught interrupt = {};
    interrupt.registered = event_new(base, SIGINT, EV_SIGNAL, add_again, &interrupt);
    event_add(interrupt.registered, nullptr);
    raise(SIGINT);
    struct event *earlier = event_new(base, -1, 0, raise_once_more, nullptr);
    event_active(earlier, EV_TIMEOUT, 1);
    for (int i = 0; i < 4; ++i)
        turn_to_port(base);
    assert_int_equal(interrupt.count, 2);
    event_free(earlier);
    event_free(interrupt.registered);
    event_base_free(base);
}

// The base for which it came has it, whoever adds signals before that base runs.
void what_was_caught_stays_its_bases(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    caught interrupt, terminate, too;
    catch_signal(first, &interrupt, SIGINT);
    raise(SIGINT);
    catch_signal(second, &terminate, SIGTERM);
    catch_signal(second, &too, SIGINT);
    turn_to_port(second);
    turn_to_port(first);
    assert_int_equal(interrupt.count, 1);
    assert_int_equal(too.count, 0);
    event_free(too.registered);
    event_free(terminate.registered);
    event_base_free(second);
    event_free(interrupt.registered);
    event_base_free(first);
}

// One that comes while no base has the signals is told once if one of them waits for it all the time, and never if it came
// for nobody: two bases have put handlers back in the order in which they had set them, and one of ours is left.
void what_comes_while_no_base_has_signals(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    caught one, two, late;
    catch_signal(first, &one, SIGINT);
    catch_signal(second, &two, SIGINT);
    event_del(two.registered);
    raise(SIGINT);
    event_add(two.registered, nullptr);
    for (struct event_base *base : {first, second, first, second})
        turn_to_port(base);
    assert_int_equal(one.count + two.count, 1);
    event_free(one.registered);
    event_free(two.registered);
    raise(SIGINT);
    catch_signal(first, &late, SIGINT);
    turn_to_port(first);
    turn_to_port(first);
    assert_int_equal(late.count, 0);
    event_free(late.registered);
    event_base_free(second);
    event_base_free(first);
}

struct event_base *to_free;

void free_one_when_warned(int, const char *)
{
    if (to_free != nullptr)
        event_base_free(to_free);
    to_free = nullptr;
}

void a_program_that_is_warned_may_free_a_base(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    to_free = make_base(on_iocp);
    caught interrupt, terminate;
    catch_signal(first, &interrupt, SIGINT);
    event_set_log_callback(free_one_when_warned);
    catch_signal(second, &terminate, SIGTERM);
    assert_null(to_free);
    catch_log();
    event_free(terminate.registered);
    event_base_free(second);
    event_free(interrupt.registered);
    event_base_free(first);
}

// One that has none left gives them up, though it lives on; what comes before another base runs is that one's.
void signals_return_from_a_base_that_has_none_left(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    caught interrupt, terminate;
    catch_signal(first, &interrupt, SIGINT);
    catch_signal(second, &terminate, SIGTERM);
    event_del(terminate.registered);
    raise(SIGINT);
    turn_to_port(second);
    turn_to_port(first);
    turn_to_port(first);
    assert_int_equal(interrupt.count, 1);
    raise(SIGINT);
    turn_to_port(first);
    assert_int_equal(interrupt.count, 2);
    event_free(terminate.registered);
    event_base_free(second);
    event_free(interrupt.registered);
    event_base_free(first);
}

void last_of_two_bases_receives(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    caught by_first, by_second;
    catch_signal(first, &by_first, SIGINT);
    assert_int_equal(warnings().size(), 0);
    catch_signal(second, &by_second, SIGINT);
    assert_int_equal(warnings().size(), 1);
    raise(SIGINT);
    turn_to_port(first);
    turn_to_port(second);
    assert_int_equal(by_first.count, 0);
    assert_int_equal(by_second.count, 1);
    event_free(by_second.registered);
    event_base_free(second);
    event_free(by_first.registered);
    event_base_free(first);
    assert_true(old_handler_is_back(SIGINT));
}

// A base that had lost the signals to another has them again when that is gone: at the latest in its next turn.
void signals_return_to_the_base_that_is_left(void **)
{
    struct event_base *first = make_base(on_iocp);
    struct event_base *second = make_base(on_iocp);
    caught interrupt, terminate;
    catch_signal(first, &interrupt, SIGINT);
    catch_signal(second, &terminate, SIGTERM);
    event_free(terminate.registered);
    event_base_free(second);
    turn_to_port(first);
    raise(SIGINT);
    turn_to_port(first);
    assert_int_equal(interrupt.count, 1);
    event_free(interrupt.registered);
    event_base_free(first);
}

void packet_that_cannot_be_posted(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught interrupt;
    catch_signal(base, &interrupt, SIGINT);
    fake::fail_calls(fake::call::port_post, ERROR_NO_SYSTEM_RESOURCES);
    raise(SIGINT);
    turn_to_port(base);
    raise(SIGINT);
    turn_to_port(base);
    assert_int_equal(interrupt.count, 2);
    event_free(interrupt.registered);
    event_base_free(base);
}

void survives_reinit(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught interrupt;
    catch_signal(base, &interrupt, SIGINT);
    raise(SIGINT);
    assert_int_equal(event_reinit(base), 0);
    turn_to_port(base);
    int before = interrupt.count;
    raise(SIGINT);
    turn_to_port(base);
    assert_int_equal(interrupt.count, before + 1);
    event_free(interrupt.registered);
    assert_true(old_handler_is_back(SIGINT));
    event_base_free(base);
}

void signals_that_are_none(void **)
{
    struct event_base *base = make_base(on_iocp);
    caught odd;
    for (int number : {1, NSIG, NSIG + 1, 1000}) {
        odd.registered = evsignal_new(base, number, on_signal_event, &odd);
        assert_int_equal(event_add(odd.registered, nullptr), -1);
        event_free(odd.registered);
    }
    assert_int_equal(base->sig.ev_n_signals_added, 0);
    event_base_free(base);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(while_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(handlers_come_back_with_the_base, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freed_with_a_signal_on_its_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_caught_is_told_to_an_event_added_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signal_between_two_events_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_caught_stays_its_bases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_while_no_base_has_signals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_program_that_is_warned_may_free_a_base, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_return_from_a_base_that_has_none_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(last_of_two_bases_receives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_return_to_the_base_that_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packet_that_cannot_be_posted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_reinit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_that_are_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
