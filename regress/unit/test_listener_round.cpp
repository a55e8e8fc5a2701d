// Whose turn it is to have a connection, on the fake kernel: several bases share a listening socket, some asleep, some in
// a callback, while listeners are disabled and freed, and what is needed to give fails. (Without threads: a base waits,
// and in its wait the others act.)
#include "support/check.h"

#include "support/sharers.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

constexpr uint64_t seeds = 300;
constexpr int steps = 60;
constexpr int settling_turns = 60;

const listening_socket *shared_socket()
{
    for (struct event_base *base : w.bases)
        if (base != nullptr && !LIST_EMPTY(&backend_of(base)->rounds.sharers))
            return LIST_FIRST(&backend_of(base)->rounds.sharers)->socket;
    return nullptr;
}

bool could_take(const listening_sharer *self)
{
    return self->listens && self->given == 0 && self->owner->rounds.state == attention::asleep;
}

// Awake, and not about to tell its listeners.
bool is_busy(const backend *owner)
{
    return owner->rounds.state == attention::awake && N_ACTIVE_CALLBACKS(owner->base) == 0;
}

// While a program's callback runs, nothing is left to a base that is awake, or to nobody, that one which sleeps could
// have.
void nobody_waits_for_a_callback()
{
    const listening_socket *socket = shared_socket();
    if (socket == nullptr || socket->has_others || socket->sharer_count < 2)
        return;
    bool is_held_back = false, is_wanted = false;
    const left_over *each;
    TAILQ_FOREACH (each, &socket->left, listed) {
        bool waits = each->given_to == nullptr || is_busy(each->given_to->owner);
        is_held_back = is_held_back || (waits && each->passes < max_passes);
    }
    const listening_sharer *sharer;
    TAILQ_FOREACH (sharer, &socket->sharers, in_socket)
        is_wanted = is_wanted || could_take(sharer);
    if (is_held_back && is_wanted)
        sharing_fails("a client waits for a base that is in a callback, though another sleeps");
}

void open_round(unsigned bases, bool has_priorities = false)
{
    open_world(bases);
    if (has_priorities)
        event_base_priority_init(w.bases[1], 2);
    w.in_callback = nobody_waits_for_a_callback;
    add_owner(0, 0);
    for (unsigned i = 1; i < bases; ++i)
        add_listener(i, i);
    for (unsigned i = 0; i < bases; ++i)
        turns(i, 2);
}

// The bases from `first` on sleep; what is done meanwhile is done by those before.
void sleep_from(unsigned first, const std::function<void()> &meanwhile)
{
    if (first == max_bases)
        meanwhile();
    else
        sleep_while(first, [=] { sleep_from(first + 1, meanwhile); });
}

void each_has_its_part(void **)
{
    open_round(4);
    sleep_from(1, [] {
        clients_come(8);
        turns(0, 2);
        assert_int_equal(accepted(0), 2); // and not what the others will have
        assert_int_equal(fake::clients_waiting(w.socket), 0);
    });
    for (unsigned i = 0; i < 4; ++i)
        assert_int_equal(accepted(i), 2);
    close_world();
}

// One after the other, whoever is told of them.
void each_has_its_turn(void **)
{
    open_round(4);
    for (int i = 0; i < 4; ++i)
        sleep_from(1, [] {
            clients_come(1);
            turns(0, 2);
        });
    for (unsigned i = 0; i < 4; ++i)
        assert_int_equal(accepted(i), 1);
    close_world();
}

void who_is_awake_is_given_nothing(void **)
{
    open_round(4);
    sleep_from(3, [] {
        clients_come(8);
        turns(0, 20);
        assert_int_equal(accepted(0), 8 - static_cast<int>(max_given));
    });
    assert_int_equal(accepted(3), max_given);
    assert_int_equal(accepted(1) + accepted(2), 0);
    close_world();
}

// It has been given some, and its first callback takes long.
void what_is_given_is_passed_on(void **)
{
    open_round(4);
    sleep_from(3, [] {
        clients_come(8);
        turns(0, 20);
    });
    forget_warnings();
    static bool has_slept;
    has_slept = false;
    int before = accepted(1);
    sleep_while(3, [] {
        clients_come(8);
        turns(0, 1);
        turns(1, 20); // there is nothing for it
        w.in_callback = [] {
            nobody_waits_for_a_callback();
            if (has_slept)
                return;
            has_slept = true;
            sleep_while(1, [] {}); // takes what it finds before it sleeps
        };
    });
    assert_true(has_slept);
    assert_true(accepted(1) > before);
    turns(0, 20);
    assert_int_equal(all_accepted(), 16);
    close_world();
}

// Its listener is disabled, or freed, by another thread before it has woken.
void what_is_given_outlives_a_listener(void **)
{
    for (bool is_freed : {false, true}) {
        open_round(4);
        static bool frees;
        frees = is_freed;
        sleep_from(2, [] {
            clients_come(6);
            turns(0, 1);
            if (frees)
                remove_listener(3);
            else
                set_enabled(3, false);
            nobody_waits_for_a_callback();
        });
        turns(0, 20);
        assert_int_equal(all_accepted(), 6);
        close_world();
    }
}

void on_first(evutil_socket_t, short, void *)
{
    assert_int_equal(accepted(1), 0);
}

void sleep_around_1(const std::function<void()> &meanwhile)
{
    sleep_while(2, [=] { sleep_while(3, [=] { sleep_while(1, meanwhile); }); });
    assert_int_equal(accepted(1), 0);
    assert_int_equal(accepted(2) + accepted(3), 1);
}

// Another thread has activated something while it slept.
void what_is_given_does_not_wait_for_what_was_active(void **)
{
    open_round(4);
    static struct event *first;
    first = event_new(w.bases[1], -1, 0, on_first, nullptr);
    sleep_around_1([] {
        clients_come(2);
        turns(0, 1);
        event_active(first, EV_TIMEOUT, 1);
    });
    event_free(first);
    close_world();
}

// Something comes at the same time, and is more urgent.
void what_is_given_does_not_wait_for_what_is_urgent(void **)
{
    open_round(4, true);
    static SOCKET urgent;
    urgent = fake::open_socket(fake::kind::stream);
    sys::set_inherited(urgent, false);
    struct event *first = event_new(w.bases[1], static_cast<evutil_socket_t>(urgent), EV_READ, on_first, nullptr);
    event_priority_set(first, 0);
    event_add(first, nullptr);
    sleep_around_1([] {
        clients_come(2);
        turns(0, 1);
        fake::peer_sends(urgent, "x");
    });
    event_free(first);
    fake::close_by_program(urgent);
    close_world();
}

// A connection that nobody was told of.
void one_is_left()
{
    listening_sharer *self = LIST_FIRST(&backend_of(w.bases[0])->rounds.sharers);
    left_connection left = {};
    left.socket = fake::open_socket(fake::kind::stream);
    left.is_finished = left.is_inherited = true;
    left.peer_length = sizeof(struct sockaddr_in);
    struct sockaddr_in peer = fake::loopback(static_cast<uint16_t>(++w.clients));
    memcpy(&left.peer, &peer, sizeof(peer));
    assert_non_null(listening_leave(self->socket, left));
}

void a_base_that_cannot_be_called_is_given_nothing(void **)
{
    open_round(4);
    sleep_from(1, [] {
        w.in_callback = nullptr; // what is left waits for whoever comes first
        one_is_left();
        one_is_left();
        fake::fail_calls(fake::call::port_post, ERROR_NO_SYSTEM_RESOURCES, 100000);
        uint64_t calls = fake::calls(fake::call::port_post);
        clients_come(8);
        turns(0, 20);
        assert_int_equal(accepted(0), 10);
        assert_true(fake::calls(fake::call::port_post) - calls < 100);
        fake::fail_calls(fake::call::port_post, 0, 0);
    });
    close_world();
}

// One has had none for long: it is not given all that the others have had meanwhile.
void who_comes_late_has_not_all(void **)
{
    open_round(2);
    for (int i = 0; i < 5; ++i) {
        clients_come(8);
        turns(0, 20);
    }
    assert_int_equal(accepted(0), 40);
    for (int i = 0; i < 20; ++i)
        sleep_while(1, [] {
            clients_come(1);
            turns(0, 2);
        });
    assert_int_equal(accepted(0), 40 + (20 - static_cast<int>(max_behind)) / 2);
    close_world();
}

// Its own accept() must find somebody, too.
void an_event_of_the_program_ends_the_round(void **)
{
    open_round(3);
    add_own(0);
    sleep_while(1, [] {
        clients_come(3);
        turns(2, 20);
        assert_int_equal(accepted(2), 3);
    });
    close_world();
}

void step(unsigned depth);

void sleep_somewhere(unsigned depth)
{
    auto base = static_cast<unsigned>(fake::random() % max_bases);
    if (depth >= max_bases || w.asleep[base])
        return;
    sleep_while(base, [=] {
        for (int i = 0; i < 8; ++i)
            step(depth + 1);
    });
}

void step(unsigned depth)
{
    auto which = static_cast<unsigned>(fake::random() % max_bases);
    sharer *self = &w.sharers[which];
    switch (fake::random() % 10) {
    case 0:
        if (which == w.owner)
            break;
        if (self->listener == nullptr)
            add_listener(which, which);
        else if (fake::happens(300))
            remove_listener(which);
        break;
    case 1:
        if (self->listener != nullptr)
            set_enabled(which, fake::happens(700));
        break;
    case 2:
    case 3:
    case 4:
        clients_come(2);
        break;
    case 5:
    case 6:
        sleep_somewhere(depth);
        break;
    default:
        if (!w.asleep[which])
            turns(which, 1);
    }
}

void rounds_at_random(void **)
{
    for (w.seed = 1; w.seed <= seeds; ++w.seed) {
        fake::boot(w.seed, fake::all_chances);
        open_round(max_bases);
        for (int i = 0; i < steps; ++i)
            step(0);
        set_enabled(w.owner, true);
        turns(0, settling_turns); // and all others stall
        for (int port = 1; port <= w.clients; ++port)
            if (w.times[port] == 0)
                sharing_fails("a client is lost");
        close_world();
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_has_its_part, set_up_sharers),
        cmocka_unit_test_setup(each_has_its_turn, set_up_sharers),
        cmocka_unit_test_setup(who_is_awake_is_given_nothing, set_up_sharers),
        cmocka_unit_test_setup(what_is_given_is_passed_on, set_up_sharers),
        cmocka_unit_test_setup(what_is_given_outlives_a_listener, set_up_sharers),
        cmocka_unit_test_setup(what_is_given_does_not_wait_for_what_was_active, set_up_sharers),
        cmocka_unit_test_setup(what_is_given_does_not_wait_for_what_is_urgent, set_up_sharers),
        cmocka_unit_test_setup(a_base_that_cannot_be_called_is_given_nothing, set_up_sharers),
        cmocka_unit_test_setup(who_comes_late_has_not_all, set_up_sharers),
        cmocka_unit_test_setup(an_event_of_the_program_ends_the_round, set_up_sharers),
        cmocka_unit_test_setup(rounds_at_random, set_up_sharers),
    };
    return cmocka_run_group_tests_name("listener_round", tests, nullptr, nullptr);
}
