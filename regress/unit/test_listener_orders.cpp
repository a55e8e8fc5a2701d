// Orders of giving, waking and going that are seldom, of listeners that share a socket, on the fake kernel (see
// test_listener_round.cpp).
#include "support/check.h"

#include "support/sharers.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

void open_three()
{
    open_world(3);
    add_owner(0, 0);
    add_listener(1, 1);
    add_listener(2, 2);
    for (unsigned i = 0; i < 3; ++i)
        turns(i, 2);
}

// Its last listener goes while it sleeps, and it has another one before it sleeps again.
void who_has_woken_without_listeners_is_awake(void **)
{
    open_three();
    sleep_while(1, [] { remove_listener(1); });
    add_listener(1, 1);
    clients_come(8);
    turns(2, 20); // and the others compute
    assert_int_equal(accepted(2), 8);
    close_world();
}

// Awake, it is in a callback of one of its listeners.
void nothing_waits_for_the_second()
{
    const base_rounds *rounds = &backend_of(w.bases[1])->rounds;
    const listening_sharer *each;
    if (rounds->state == attention::awake)
        LIST_FOREACH (each, &rounds->sharers, in_base)
            assert_int_equal(each->given, 0);
}

// A base with two sockets is called for both, and the first callback takes long.
void what_is_given_of_another_socket_is_passed_on(void **)
{
    open_three();
    static SOCKET second;
    second = fake::open_socket(fake::kind::listener);
    sys::set_inherited(second, false); // all that is inherited is counted, see turns
    static int taken[3];
    struct evconnlistener *others[3];
    auto take = [](struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *number) {
        ++*static_cast<int *>(number);
        evutil_closesocket(fd);
        nothing_waits_for_the_second();
    };
    for (int i = 0; i < 3; ++i) {
        taken[i] = 0;
        others[i] = evconnlistener_new(w.bases[i], take, &taken[i], 0, 0, static_cast<evutil_socket_t>(second));
    }
    for (unsigned i = 0; i < 3; ++i)
        turns(i, 2);
    w.in_callback = nothing_waits_for_the_second;
    sleep_while(2, [] {
        sleep_while(1, [] {
            clients_come(2);
            fake::client_arrives(second, {static_cast<uint16_t>(51), fake::fate_taken, ""});
            fake::client_arrives(second, {static_cast<uint16_t>(52), fake::fate_taken, ""});
            turns(0, 2);
        });
    });
    assert_int_equal(all_accepted(), 2);
    assert_int_equal(taken[0] + taken[1] + taken[2], 2);
    for (struct evconnlistener *each : others)
        evconnlistener_free(each);
    fake::close_by_program(second);
    close_world();
}

// It was given to others as often as it may be, and who has it goes.
void what_nobody_may_be_given_again_is_given_again(void **)
{
    static unsigned goes;
    open_three();
    sleep_while(2, [] {
        sleep_while(1, [] {
            clients_come(2);
            turns(0, 1);
            const listening_socket *socket = LIST_FIRST(&backend_of(w.bases[0])->rounds.sharers)->socket;
            left_over *given = TAILQ_FIRST(&socket->left);
            goes = given->given_to->owner == backend_of(w.bases[1]) ? 1 : 2;
            given->passes = max_passes;
            remove_listener(goes);
            assert_non_null(given->given_to);
        });
    });
    assert_int_equal(accepted(goes), 0);
    assert_int_equal(all_accepted(), 2);
    close_world();
}

// Of a base that never sleeps, too.
void who_does_not_sleep_takes_what_waits(void **)
{
    open_three();
    sleep_while(2, [] {
        clients_come(8);
        turns(0, 1);
        turns(1, 20);
        w.in_callback = [] {
            w.in_callback = nullptr;
            int before = accepted(1);
            turns(1, 20);
            assert_true(accepted(1) > before);
        };
    });
    assert_int_equal(all_accepted(), 8);
    close_world();
}

// Two are left, of which one sleeps and has been given a client; the other is awake.
void open_two_and_give(const std::function<void()> &then)
{
    open_world(2);
    add_owner(0, 0);
    add_listener(1, 1);
    for (unsigned i = 0; i < 2; ++i)
        turns(i, 2);
    sleep_while(1, [=] {
        clients_come(2);
        turns(0, 1);
        assert_int_equal(accepted(0), 1);
        assert_int_equal(fake::clients_waiting(w.socket), 0);
        then();
    });
    assert_int_equal(accepted(1), 0);
}

void goes_or_is_disabled(bool goes)
{
    if (goes)
        remove_listener(1);
    else
        set_enabled(1, false);
}

// It goes: what it had is told of by the only one left, which is awake, before that sleeps. (No other client comes.)
void what_one_had_who_goes_is_the_last_ones(void **)
{
    for (bool goes : {true, false}) {
        open_two_and_give([=] { goes_or_is_disabled(goes); });
        turns(0, 1);
        assert_int_equal(accepted(0), 2);
        turns(0, 10);
        close_world();
    }
}

// That one sleeps at its next opportunity, and not with a client in its hands.
void the_last_one_does_not_sleep_over_it(void **)
{
    open_two_and_give([] { remove_listener(1); });
    struct timeval limit = {1, 0};
    event_base_loopexit(w.bases[0], &limit);
    int64_t before = fake::now_us();
    event_base_loop(w.bases[0], EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    assert_int_equal(accepted(0), 2);
    assert_int_equal(fake::now_us(), before);
    close_world();
}

// Nor is it lost where an event of the program's own has ended the round meanwhile, which is not told of it for ever.
void it_is_not_lost_beside_an_event_of_the_program(void **)
{
    for (bool goes : {true, false})
        for (bool listens : {true, false}) {
            open_two_and_give([=] {
                add_own(0);
                goes_or_is_disabled(goes);
            });
            set_enabled(0, listens);
            turns(0, 20);
            assert_int_equal(accepted(0), listens ? 2 : 1);
            assert_true(w.own_told <= 1);
            set_enabled(0, true);
            turns(0, 20);
            assert_int_equal(accepted(0), 2);
            assert_true(w.own_told <= 3);
            close_world();
        }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_has_woken_without_listeners_is_awake, set_up_sharers),
        cmocka_unit_test_setup(what_is_given_of_another_socket_is_passed_on, set_up_sharers),
        cmocka_unit_test_setup(what_nobody_may_be_given_again_is_given_again, set_up_sharers),
        cmocka_unit_test_setup(who_does_not_sleep_takes_what_waits, set_up_sharers),
        cmocka_unit_test_setup(what_one_had_who_goes_is_the_last_ones, set_up_sharers),
        cmocka_unit_test_setup(the_last_one_does_not_sleep_over_it, set_up_sharers),
        cmocka_unit_test_setup(it_is_not_lost_beside_an_event_of_the_program, set_up_sharers),
    };
    return cmocka_run_group_tests_name("listener_orders", tests, nullptr, nullptr);
}
