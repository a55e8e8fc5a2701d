// Listeners of several bases on one socket are enabled, disabled, added and freed at random, each in its base's thread,
// while clients connect from another one. Whoever connects is greeted for as long as one listener is enabled in a base
// that is not busy; nobody waits for a busy base: one that stalls goes on when clients after that have been greeted.
//
// usage: unit-real_listener_storm [seconds [seed]]
#include "real/pool.h"

#include "../real/accounting.h"

using namespace real;

namespace {

constexpr int bases = 4, most_listeners = 3, most_clients = 200000;
constexpr DWORD limit_ms = deadline_seconds * 1000, stall_limit_ms = limit_ms / 2;

// Clients that connect together. A stalled base waits until more have been greeted than may have been by others already.
constexpr unsigned most_together = 16;
constexpr long greeted_meanwhile = most_together + 2;

// What it gives is the same everywhere, and each base has its own.
class random_source {
public:
    random_source() = default;
    explicit random_source(unsigned seed) : state(seed * 2654435761u + 1) {}
    unsigned below(unsigned limit)
    {
        state = state * 1664525 + 1013904223;
        return (state >> 8) % limit;
    }
    bool one_in(unsigned count) { return below(count) == 0; }

private:
    unsigned state = 0;
};

struct storm_listener {
    struct evconnlistener *listener; // NULL: there is none
    bool enabled;
};

struct storm_worker {
    struct event_base *own_base;
    struct event *told;
    storm_listener listeners[most_listeners];
    random_source random;
    bool stalled, ready;
    int open; // connections
    int accepted, operations, stalls;
    HANDLE thread;
};

struct storm {
    SRWLOCK lock; // of which listeners are enabled, and who is stalled
    storm_worker workers[bases];
    evutil_socket_t listening;
    struct sockaddr_in address;
    std::atomic<long> greeted;
    std::atomic<bool> over;
    std::atomic<const char *> complaint;
};

storm all;

class storm_locked {
public:
    storm_locked() { AcquireSRWLockExclusive(&all.lock); }
    ~storm_locked() { ReleaseSRWLockExclusive(&all.lock); }
    storm_locked(const storm_locked &) = delete;
    storm_locked &operator=(const storm_locked &) = delete;
};

int storm_enabled(const storm_worker *self)
{
    int count = 0;
    for (const storm_listener &each : self->listeners)
        count += each.enabled;
    return count;
}

// Lock held. Whether clients are still greeted if this base is not counted, but for so many of its listeners.
bool storm_goes_on_without(const storm_worker *self, int left)
{
    if (!self->stalled && left > 0)
        return true;
    for (const storm_worker &each : all.workers)
        if (&each != self && !each.stalled && storm_enabled(&each) > 0)
            return true;
    return false;
}

// Whoever has come until now may be its own. Those that come after that are not.
void storm_stall(storm_worker *self)
{
    {
        storm_locked held;
        self->stalled = true;
        if (!storm_goes_on_without(self, 0)) {
            self->stalled = false;
            return;
        }
    }
    ++self->stalls;
    DWORD begun = GetTickCount();
    for (long until = all.greeted + greeted_meanwhile; all.greeted < until && !all.over; Sleep(1))
        if (GetTickCount() - begun > stall_limit_ms) {
            all.complaint = "clients wait for a base that is busy";
            break;
        }
    storm_locked held;
    self->stalled = false;
}

void storm_end_if_over(storm_worker *self)
{
    if (all.over && self->open == 0)
        event_base_loopbreak(self->own_base);
}

void storm_ended(struct bufferevent *bev, short, void *argument)
{
    auto *self = static_cast<storm_worker *>(argument);
    bufferevent_free(bev);
    --self->open;
    storm_end_if_over(self);
}

void storm_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    auto *self = static_cast<storm_worker *>(argument);
    ++self->accepted;
    if (send(fd, "x", 1, 0) != 1)
        all.complaint = "a client could not be greeted";
    struct bufferevent *served = bufferevent_socket_new(self->own_base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(served, nullptr, nullptr, storm_ended, self);
    bufferevent_enable(served, EV_READ);
    ++self->open;
    if (self->random.one_in(4))
        Sleep(self->random.below(4)); // others come meanwhile, and are given to whoever sleeps, several at a time
    if (self->random.one_in(20))
        storm_stall(self);
}

void storm_add(storm_worker *self, storm_listener *slot)
{
    bool enabled = self->random.one_in(2);
    slot->listener =
        evconnlistener_new(self->own_base, storm_accept, self, enabled ? 0 : LEV_OPT_DISABLED, 0, all.listening);
    if (slot->listener == nullptr) {
        all.complaint = "a listener could not be made";
        return;
    }
    storm_locked held;
    slot->enabled = enabled;
}

// False: clients would wait.
bool storm_takes_away(storm_worker *self, storm_listener *slot)
{
    storm_locked held;
    if (!slot->enabled)
        return true;
    if (!storm_goes_on_without(self, storm_enabled(self) - 1))
        return false;
    slot->enabled = false;
    return true;
}

void storm_operate(storm_worker *self)
{
    storm_listener *slot = &self->listeners[self->random.below(most_listeners)];
    ++self->operations;
    if (slot->listener == nullptr) {
        storm_add(self, slot);
    } else if (self->random.one_in(3)) {
        if (!storm_takes_away(self, slot))
            return;
        evconnlistener_free(slot->listener);
        slot->listener = nullptr;
    } else if (slot->enabled) {
        if (storm_takes_away(self, slot))
            evconnlistener_disable(slot->listener);
    } else {
        if (evconnlistener_enable(slot->listener) != 0)
            all.complaint = "a listener could not be enabled";
        storm_locked held;
        slot->enabled = true;
    }
}

// From the clients' thread, and not by a timer: a base that is told nothing sleeps until it has a connection. Those who
// wake for something else look whether any is left, which would hide one that was forgotten.
void storm_told(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<storm_worker *>(argument);
    storm_end_if_over(self);
    if (all.over)
        return;
    for (unsigned i = self->random.below(3); i < 3; ++i)
        storm_operate(self);
    if (self->random.one_in(30))
        storm_stall(self);
}

DWORD WINAPI storm_run(void *argument)
{
    return static_cast<DWORD>(
        event_base_loop(static_cast<storm_worker *>(argument)->own_base, EVLOOP_NO_EXIT_ON_EMPTY));
}

void storm_open(unsigned seed)
{
    all.listening = bound(SOCK_STREAM, &all.address);
    assert_int_equal(listen(all.listening, SOMAXCONN), 0);
    for (storm_worker &each : all.workers) {
        assert_int_equal(set_up(nullptr), 0);
        each.own_base = base;
        each.random = random_source(seed + static_cast<unsigned>(&each - all.workers));
        each.told = event_new(base, -1, EV_PERSIST, storm_told, &each);
        assert_non_null(each.told);
        each.listeners[0].listener = evconnlistener_new(base, storm_accept, &each, 0, 0, all.listening);
        assert_non_null(each.listeners[0].listener);
        each.listeners[0].enabled = true;
    }
    for (storm_worker &each : all.workers)
        each.thread = CreateThread(nullptr, 0, storm_run, &each, 0, nullptr);
}

// All that connect are greeted. How many that were.
int storm_clients(unsigned seconds, unsigned seed)
{
    random_source random(seed + bases);
    DWORD begun = GetTickCount();
    int count = 0;
    while (GetTickCount() - begun < seconds * 1000 && count < most_clients && all.complaint == nullptr) {
        evutil_socket_t clients[most_together];
        unsigned together = 1 + random.below(most_together);
        for (unsigned i = 0; i < together; ++i) {
            if (random.one_in(3))
                event_active(all.workers[random.below(bases)].told, EV_READ, 0);
            clients[i] = pool_connect(all.address);
        }
        for (unsigned i = 0; i < together; ++i, ++count) {
            if (clients[i] < 0 || !pool_greeted(clients[i]))
                all.complaint = "a client was not greeted";
            ++all.greeted;
        }
    }
    return count;
}

void storm_close()
{
    all.over = true;
    for (const storm_worker &each : all.workers)
        event_active(each.told, EV_READ, 0);
    int accepted = 0, stalls = 0;
    for (storm_worker &each : all.workers) {
        assert_int_equal(WaitForSingleObject(each.thread, limit_ms), WAIT_OBJECT_0);
        CloseHandle(each.thread);
        for (storm_listener &slot : each.listeners)
            if (slot.listener != nullptr)
                evconnlistener_free(slot.listener);
        event_free(each.told);
        event_base_free(each.own_base);
        accepted += each.accepted;
        stalls += each.stalls;
        printf("a base: %d accepted, %d operations, %d stalls\n", each.accepted, each.operations, each.stalls);
        assert_true(each.operations > 0);
    }
    evutil_closesocket(all.listening);
    assert_int_equal(accepted, all.greeted);
    assert_true(stalls > 0);
}

unsigned asked_seconds = 5, asked_seed = 1;

void everybody_is_greeted(void **)
{
    storm_open(asked_seed);
    int clients = storm_clients(asked_seconds, asked_seed);
    printf("seed %u: %d clients in %u s, %ld greeted: %s\n", asked_seed, clients, asked_seconds, all.greeted.load(),
           all.complaint != nullptr ? all.complaint.load() : "no complaint");
    assert_true(all.complaint == nullptr);
    storm_close();
    libevent_global_shutdown();
    assert_int_equal(accounting::live_blocks(), 0);
}

} // namespace

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everybody_is_greeted)};
    if (count > 1)
        asked_seconds = static_cast<unsigned>(atoi(arguments[1]));
    if (count > 2)
        asked_seed = static_cast<unsigned>(atoi(arguments[2]));
    accounting::start();
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
