// Several listeners on one listening socket, on the fake kernel, and plain events whose program calls accept(): of one
// base and of several, of which some stall, while both are made, enabled, disabled and freed, in all orders. Each client is
// accepted once, by somebody who is enabled, and none waits for a base that stalls.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

#include "backend/listening_socket.h"

using namespace iocp;

namespace {

constexpr unsigned max_bases = 4;
constexpr unsigned max_listeners = 6;
constexpr int max_clients = 60;
constexpr int steps = 200;
constexpr int settling_turns = 300;
constexpr uint64_t seeds = 500;

struct sharer {
    struct evconnlistener *listener; // NULL: there is none
    unsigned base;
    bool enabled;
    int accepted;
};

struct world {
    struct event_base *bases[max_bases]; // NULL: freed
    sharer sharers[max_listeners];
    unsigned owner;               // max_listeners: none
    struct event *own[max_bases]; // NULL: freed
    int accepted_by_own;
    SOCKET socket;
    int clients;
    int times[max_clients + 1]; // accepted, by the client's port
};

world w;
uint64_t seed;

void fails(const char *what)
{
    fail_msg("%s, seed %u", what, static_cast<unsigned>(seed));
}

void note_client(const struct sockaddr *address)
{
    int port = ntohs(reinterpret_cast<const struct sockaddr_in *>(address)->sin_port);
    if (port < 1 || port > w.clients || ++w.times[port] != 1)
        fails("a client is accepted twice, or is none");
}

void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int, void *argument)
{
    auto *self = static_cast<sharer *>(argument);
    if (listener != self->listener || !self->enabled)
        fails("a listener that is disabled or freed is called");
    note_client(address);
    ++self->accepted;
    evutil_closesocket(fd);
}

void add(unsigned which, unsigned base, unsigned flags = 0)
{
    sharer *self = &w.sharers[which];
    *self = {nullptr, base, true, 0};
    self->listener =
        evconnlistener_new(w.bases[base], on_accept, self, flags, 0, static_cast<evutil_socket_t>(w.socket));
    assert_non_null(self->listener);
}

// Alone, it has accepts in flight. It is freed last, with the socket.
void add_owner(unsigned which, unsigned base)
{
    add(which, base, LEV_OPT_CLOSE_ON_FREE);
    w.owner = which;
}

void remove(unsigned which)
{
    struct evconnlistener *freed = w.sharers[which].listener;
    w.sharers[which].listener = nullptr;
    evconnlistener_free(freed);
}

void set_enabled(unsigned which, bool enabled)
{
    w.sharers[which].enabled = enabled;
    if ((enabled ? evconnlistener_enable : evconnlistener_disable)(w.sharers[which].listener) != 0)
        fails("a listener cannot be enabled or disabled");
}

void on_readable(evutil_socket_t fd, short, void *)
{
    struct sockaddr_storage peer;
    int length = sizeof(peer);
    SOCKET taken = accept(static_cast<SOCKET>(fd), reinterpret_cast<struct sockaddr *>(&peer), &length);
    if (taken == INVALID_SOCKET)
        return;
    note_client(reinterpret_cast<struct sockaddr *>(&peer));
    ++w.accepted_by_own;
    closesocket(taken);
}

void add_own(unsigned base)
{
    auto fd = static_cast<evutil_socket_t>(w.socket);
    w.own[base] = event_new(w.bases[base], fd, EV_READ | EV_PERSIST, on_readable, nullptr);
    assert_int_equal(event_add(w.own[base], nullptr), 0);
}

void remove_own(unsigned base)
{
    if (w.own[base] != nullptr)
        event_free(w.own[base]);
    w.own[base] = nullptr;
}

void clients_come(int count)
{
    for (int i = 0; i < count && w.clients < max_clients; ++i)
        fake::client_arrives(w.socket, {static_cast<uint16_t>(++w.clients), fake::fate_taken, ""});
}

void turns(unsigned base, int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(w.bases[base]);
    }
}

void open_world(unsigned bases)
{
    w = world();
    w.owner = max_listeners;
    w.socket = fake::open_socket(fake::kind::listener);
    for (unsigned i = 0; i < bases; ++i)
        w.bases[i] = make_base(on_iocp);
}

void close_world()
{
    for (unsigned i = 0; i < max_listeners; ++i)
        if (w.sharers[i].listener != nullptr && i != w.owner)
            remove(i);
    for (unsigned i = 0; i < max_bases; ++i)
        remove_own(i);
    if (w.owner != max_listeners)
        remove(w.owner);
    else
        fake::close_by_program(w.socket);
    for (struct event_base *base : w.bases)
        if (base != nullptr)
            event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void a_second_listener_ends_the_accepts_of_the_first(void **)
{
    open_world(2);
    add_owner(0, 0);
    turns(0, 2);
    assert_true(fake::accepts_waiting(w.socket) > 0);
    add(1, 1);
    assert_int_equal(fake::accepts_waiting(w.socket), 0);
    clients_come(5);
    turns(1, 20); // and the first base stalls
    assert_int_equal(w.sharers[1].accepted, 5);
    turns(0, 5);
    assert_int_equal(fake::accepts_waiting(w.socket), 0);
    remove(1);
    clients_come(1);
    turns(0, 5);
    assert_int_equal(w.sharers[0].accepted, 1);
    close_world();
}

// What the first one's accepts have taken, and it has not told of, is the next one's: packets that lie in its base's port, and
// connections that wait for their callback.
void what_the_first_has_taken_is_not_held_back(void **)
{
    for (bool told : {false, true}) {
        open_world(2);
        add_owner(0, 0);
        turns(0, 2);
        clients_come(2);
        if (told)
            event_base_loop(w.bases[0], EVLOOP_NONBLOCK | EVLOOP_ONCE);
        add(1, 1);
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

// Nor by one that comes and goes.
void what_was_left_over_comes_back(void **)
{
    open_world(2);
    add_owner(0, 0);
    turns(0, 2);
    clients_come(2);
    add(1, 1);
    remove(1);
    turns(0, 20);
    assert_int_equal(w.sharers[0].accepted, 2);
    close_world();
}

void two_listeners_of_one_base(void **)
{
    for (unsigned freed = 0; freed < 2; ++freed) {
        open_world(1);
        w.owner = 1 - freed;
        for (unsigned i = 0; i < 2; ++i) {
            add(i, 0, i == w.owner ? LEV_OPT_CLOSE_ON_FREE : 0);
            turns(0, 2);
        }
        clients_come(1);
        turns(0, 10);
        assert_int_equal(w.sharers[0].accepted + w.sharers[1].accepted, 1);
        remove(freed);
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
    add(0, 0);
    add(1, 0);
    turns(0, 2);
    remove(0);
    remove(1);
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
            add(which, base);
        else if (which != w.owner && fake::happens(500))
            remove(which);
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

// All but one stall, and it gets all that waits, be it that the owner's accepts had taken it.
void settle(unsigned base)
{
    unsigned which = w.owner == 0 ? 1 : 0;
    if (w.sharers[which].listener != nullptr)
        remove(which);
    add(which, base);
    clients_come(5);
    turns(base, settling_turns);
    for (int port = 1; port <= w.clients; ++port)
        if (w.times[port] == 0)
            fails("a client waits for a base that stalls, or is lost");
}

void sharers_at_random(void **)
{
    for (seed = 1; seed <= seeds; ++seed) {
        fake::boot(seed, fake::all_chances);
        open_world(max_bases);
        if (fake::happens(500))
            add_owner(static_cast<unsigned>(fake::random() % max_listeners), 0);
        for (int i = 0; i < steps; ++i)
            step();
        settle(static_cast<unsigned>(fake::random() % max_bases));
        close_world();
    }
}

int set_up(void **)
{
    catch_log();
    return set_up_kernel(nullptr);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_second_listener_ends_the_accepts_of_the_first, set_up),
        cmocka_unit_test_setup(what_the_first_has_taken_is_not_held_back, set_up),
        cmocka_unit_test_setup(what_was_left_over_comes_back, set_up),
        cmocka_unit_test_setup(two_listeners_of_one_base, set_up),
        cmocka_unit_test_setup(sharing_ends_with_the_last, set_up),
        cmocka_unit_test_setup(an_event_of_another_base, set_up),
        cmocka_unit_test_setup(an_event_of_the_same_base, set_up),
        cmocka_unit_test_setup(a_disabled_listener_leaves_all_in_the_backlog, set_up),
        cmocka_unit_test_setup(sharers_at_random, set_up),
    };
    return cmocka_run_group_tests_name("listener_sharing", tests, nullptr, nullptr);
}
