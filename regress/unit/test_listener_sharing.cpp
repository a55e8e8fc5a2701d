// Several listeners on one listening socket, on the fake kernel, and plain events whose program calls accept(): of one
// base and of several, of which some stall, while both are made, enabled, disabled and freed, in all orders. Each
// client is accepted once, by somebody who is enabled, and none waits for a base that stalls.
#include "support/check.h"

#include "support/sharers.h"

using namespace iocp;

namespace {

constexpr int steps = 200;
constexpr int settling_turns = 300;
constexpr uint64_t seeds = 500;

void a_second_listener_ends_the_accepts_of_the_first(void **)
{
    open_world(2);
    add_owner(0, 0);
    turns(0, 2);
    assert_true(fake::accepts_waiting(w.socket) > 0);
    add_listener(1, 1);
    assert_int_equal(fake::accepts_waiting(w.socket), 0);
    clients_come(5);
    turns(1, 20); // and the first base stalls
    assert_int_equal(w.sharers[1].accepted, 5);
    turns(0, 5);
    assert_int_equal(fake::accepts_waiting(w.socket), 0);
    remove_listener(1);
    clients_come(1);
    turns(0, 5);
    assert_int_equal(w.sharers[0].accepted, 1);
    close_world();
}

void two_listeners_of_one_base(void **)
{
    for (unsigned freed = 0; freed < 2; ++freed) {
        open_world(1);
        w.owner = 1 - freed;
        for (unsigned i = 0; i < 2; ++i) {
            add_listener(i, 0, i == w.owner ? LEV_OPT_CLOSE_ON_FREE : 0);
            turns(0, 2);
        }
        clients_come(1);
        turns(0, 10);
        assert_int_equal(w.sharers[0].accepted + w.sharers[1].accepted, 1);
        remove_listener(freed);
        clients_come(2);
        turns(0, 10);
        assert_int_equal(w.sharers[0].accepted + w.sharers[1].accepted, 3);
        set_enabled(1 - freed, false);
        clients_come(1);
        turns(0, 10);
        assert_int_equal(fake::clients_waiting(w.socket), 1);
        close_world();
    }
}

// A socket that was shared is its next listener's alone once all have gone.
void sharing_ends_with_the_last(void **)
{
    open_world(2);
    add_own(1);
    add_listener(0, 0);
    add_listener(1, 0);
    turns(0, 2);
    remove_listener(0);
    remove_listener(1);
    remove_own(1);
    add_owner(0, 0);
    turns(0, 2);
    assert_true(fake::accepts_waiting(w.socket) > 0);
    close_world();
}

// In whichever order they begin.
void an_event_of_another_base(void **)
{
    for (bool listens_first : {false, true}) {
        open_world(2);
        if (!listens_first)
            add_own(1);
        add_owner(0, 0);
        turns(0, 2);
        if (listens_first)
            add_own(1);
        assert_int_equal(fake::accepts_waiting(w.socket), 0);
        clients_come(5);
        turns(1, 20); // and the first base stalls
        assert_int_equal(w.accepted_by_own, 5);
        close_world();
    }
}

void an_event_of_the_same_base(void **)
{
    for (bool listens_first : {false, true}) {
        open_world(1);
        if (!listens_first)
            add_own(0);
        add_owner(0, 0);
        turns(0, 2);
        if (listens_first)
            add_own(0);
        turns(0, 5);
        set_enabled(0, false);
        clients_come(5);
        turns(0, 20);
        assert_int_equal(w.accepted_by_own, 5);
        close_world();
    }
}

void a_disabled_listener_leaves_all_in_the_backlog(void **)
{
    open_world(1);
    add_owner(0, 0);
    turns(0, 2);
    set_enabled(0, false);
    turns(0, 2);
    clients_come(3);
    turns(0, 2);
    assert_int_equal(fake::clients_waiting(w.socket), 3);
    set_enabled(0, true);
    turns(0, 20);
    assert_int_equal(w.sharers[0].accepted, 3);
    set_enabled(0, false);
    set_enabled(0, true); // before the packets of the accepts have come
    clients_come(1);
    turns(0, 20);
    assert_int_equal(w.sharers[0].accepted, 4);
    close_world();
}

void step()
{
    unsigned which = static_cast<unsigned>(fake::random() % max_listeners);
    unsigned base = static_cast<unsigned>(fake::random() % max_bases);
    sharer *self = &w.sharers[which];
    switch (fake::random() % 10) {
    case 0:
        if (self->listener == nullptr)
            add_listener(which, base);
        else if (which != w.owner && fake::happens(500))
            remove_listener(which);
        break;
    case 1:
        if (self->listener != nullptr)
            set_enabled(which, fake::happens(500));
        break;
    case 2:
        (w.own[base] != nullptr ? remove_own : add_own)(base);
        break;
    case 3:
        clients_come(2);
        break;
    default:
        fake::advance_us(static_cast<int64_t>(fake::random() % 2000));
        turn(w.bases[base]);
    }
}

// All but one stall, and it gets all that waits, what the owner's accepts had taken included.
void settle(unsigned base)
{
    unsigned which = w.owner == 0 ? 1 : 0;
    if (w.sharers[which].listener != nullptr)
        remove_listener(which);
    add_listener(which, base);
    clients_come(5);
    turns(base, settling_turns);
    for (int port = 1; port <= w.clients; ++port)
        if (w.times[port] == 0)
            sharing_fails("a client waits for a base that stalls, or is lost");
}

void sharers_at_random(void **)
{
    for (w.seed = 1; w.seed <= seeds; ++w.seed) {
        fake::boot(w.seed, fake::all_chances);
        open_world(max_bases);
        if (fake::happens(500))
            add_owner(static_cast<unsigned>(fake::random() % max_listeners), 0);
        for (int i = 0; i < steps; ++i)
            step();
        settle(static_cast<unsigned>(fake::random() % max_bases));
        close_world();
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_second_listener_ends_the_accepts_of_the_first, set_up_sharers),
        cmocka_unit_test_setup(two_listeners_of_one_base, set_up_sharers),
        cmocka_unit_test_setup(sharing_ends_with_the_last, set_up_sharers),
        cmocka_unit_test_setup(an_event_of_another_base, set_up_sharers),
        cmocka_unit_test_setup(an_event_of_the_same_base, set_up_sharers),
        cmocka_unit_test_setup(a_disabled_listener_leaves_all_in_the_backlog, set_up_sharers),
        cmocka_unit_test_setup(sharers_at_random, set_up_sharers),
    };
    return cmocka_run_group_tests_name("listener_sharing", tests, nullptr, nullptr);
}
