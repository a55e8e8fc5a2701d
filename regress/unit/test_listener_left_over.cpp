// What a listener's accepts had taken when another one comes on its socket, on the fake kernel: it is nobody's, and
// waits for no base that stalls.
#include "support/check.h"

#include "support/sharers.h"

#include "bufferevent/acceptor.h"

using namespace iocp;

namespace {

// What the first one's accepts have taken, and it has not told of, is the next one's: packets that lie in its base's
// port, and connections that wait for their callback.
void what_the_first_has_taken_is_not_held_back(void **)
{
    for (bool told : {false, true}) {
        open_world(2);
        add_owner(0, 0);
        turns(0, 2);
        clients_come(2);
        if (told)
            event_base_loop(w.bases[0], EVLOOP_NONBLOCK | EVLOOP_ONCE);
        add_listener(1, 1);
        turns(1, 20); // and the first base stalls
        assert_int_equal(w.sharers[0].accepted + w.sharers[1].accepted, 2);
        assert_true(told || w.sharers[1].accepted == 2);
        turns(0, 20);
        set_enabled(1, false);
        clients_come(1);
        turns(0, 20);
        assert_int_equal(w.sharers[0].accepted + w.sharers[1].accepted, 3);
        close_world();
    }
}

int errors;

void on_error(struct evconnlistener *, void *)
{
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAENOBUFS);
    ++errors;
}

// One is lost to it, which is told.
void a_shortage_in_their_last_step(void **)
{
    errors = 0;
    open_world(2);
    add_owner(0, 0);
    turns(0, 2);
    clients_come(2);
    add_listener(1, 1);
    evconnlistener_set_error_cb(w.sharers[1].listener, on_error);
    fake::fail_calls(fake::call::finish_accept, WSAENOBUFS);
    turns(1, 20);
    assert_int_equal(errors, 1);
    assert_int_equal(w.sharers[1].accepted, 1);
    turns(0, 20);
    close_world();
}

// A disabled listener has some, and an event of the program's own, which cannot be given them, comes to the same base:
// it is not told of them over and over, and they are the listener's when it is enabled.
void what_a_disabled_listener_has_keeps_no_loop_busy(void **)
{
    open_world(1);
    add_owner(0, 0);
    turns(0, 2);
    clients_come(2);
    set_enabled(0, false); // their accepts have ended
    turns(0, 2);
    add_own(0);
    turns(0, 20);
    assert_true(w.own_told <= 2);
    clients_come(1);
    turns(0, 5);
    assert_int_equal(w.accepted_by_own, 1);
    set_enabled(0, true);
    turns(0, 20);
    assert_int_equal(w.sharers[0].accepted, 2);
    assert_true(w.own_told <= 5);
    close_world();
}

// Nor by one that comes and goes.
void what_was_left_over_comes_back(void **)
{
    open_world(2);
    add_owner(0, 0);
    turns(0, 2);
    clients_come(2);
    add_listener(1, 1);
    remove_listener(1);
    turns(0, 20);
    assert_int_equal(w.sharers[0].accepted, 2);
    close_world();
}

void on_stall(evutil_socket_t, short, void *)
{
    assert_int_equal(fake::calls(fake::call::accept_now), 1);
    add_listener(1, 1);
    assert_int_equal(fake::sockets_inherited(), 1); // by child processes: the listening one
    turns(1, 20);
    assert_int_equal(w.sharers[1].accepted, 1);
}

// Under load accept() takes one to see whether somebody waits. Another callback of that turn stalls before the
// listener's.
void what_the_first_has_looked_at_is_not_held_back(void **)
{
    open_world(2);
    event_base_priority_init(w.bases[0], 2);
    add_owner(0, 0);
    acceptor_find(backend_of(w.bases[0]), static_cast<evutil_socket_t>(w.socket))->found_in_backlog = true;
    clients_come(1);
    struct event *stalling = event_new(w.bases[0], -1, 0, on_stall, nullptr);
    event_priority_set(stalling, 0);
    event_active(stalling, EV_TIMEOUT, 1);
    turn(w.bases[0]);
    assert_int_equal(fake::calls(fake::call::finish_accept), 0);
    assert_int_equal(w.sharers[1].accepted, 1);
    turns(0, 5);
    event_free(stalling);
    close_world();
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_the_first_has_taken_is_not_held_back, set_up_sharers),
        cmocka_unit_test_setup(what_the_first_has_looked_at_is_not_held_back, set_up_sharers),
        cmocka_unit_test_setup(a_shortage_in_their_last_step, set_up_sharers),
        cmocka_unit_test_setup(what_a_disabled_listener_has_keeps_no_loop_busy, set_up_sharers),
        cmocka_unit_test_setup(what_was_left_over_comes_back, set_up_sharers),
    };
    return cmocka_run_group_tests_name("listener_left_over", tests, nullptr, nullptr);
}
