// One listening socket, several bases: the threaded server of Windows, where a port cannot be bound twice. Each listener
// may be disabled and freed at any time in its own thread, and no connection waits for a base that is busy.
#include "guarantees.h"

#include <event2/thread.h>

#include <atomic>
#include <string.h>

namespace parity {

namespace {

constexpr unsigned bases = 4;
constexpr unsigned clients = 20;
constexpr unsigned rounds = 50; // of threads that free their listeners at the same time
constexpr DWORD deadline_ms = 10000;

SOCKET listening_socket(int backlog, struct sockaddr_in *address)
{
    *address = open_address();
    address->sin_port = 0;
    int length = sizeof(*address);
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(made, reinterpret_cast<struct sockaddr *>(address), length) != 0 || listen(made, backlog) != 0 ||
        getsockname(made, reinterpret_cast<struct sockaddr *>(address), &length) != 0)
        return INVALID_SOCKET;
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(made));
    return made;
}

// One that connects, and stays until it is closed.
SOCKET client_of(struct sockaddr_in address)
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0)
        return made;
    closesocket(made);
    return INVALID_SOCKET;
}

// Waits for another thread: only that such a wait ends is asserted, not when.
template <class Condition> bool comes_true(Condition condition)
{
    for (ULONGLONG end = GetTickCount64() + deadline_ms; GetTickCount64() < end; Sleep(1))
        if (condition())
            return true;
    return condition();
}

struct worker {
    struct event_base *base;
    struct evconnlistener *listener;
    SOCKET socket;
    unsigned flags; // LEV_OPT_CLOSE_ON_FREE: alone, it has accepts in flight
    HANDLE thread;
    HANDLE stalls_until; // its first accept waits for this; NULL: it does not
    HANDLE frees_at;     // the listener; NULL: when its loop is told to end
    std::atomic<int> accepted;
    std::atomic<bool> stalled;
    std::atomic<bool> ready;
};

void on_shared_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    auto *self = static_cast<worker *>(argument);
    ++self->accepted;
    evutil_closesocket(fd);
    if (self->stalls_until == nullptr)
        return;
    self->stalled = true;
    WaitForSingleObject(self->stalls_until, deadline_ms);
}

DWORD WINAPI work(void *argument)
{
    auto *self = static_cast<worker *>(argument);
    self->listener = evconnlistener_new(self->base, on_shared_accept, self, self->flags, 0,
                                        static_cast<evutil_socket_t>(self->socket));
    event_base_loop(self->base, EVLOOP_NONBLOCK);
    self->ready = true;
    DWORD failed = 0;
    if (self->frees_at == nullptr)
        failed = event_base_loop(self->base, EVLOOP_NO_EXIT_ON_EMPTY) != 0;
    else
        WaitForSingleObject(self->frees_at, deadline_ms);
    evconnlistener_free(self->listener);
    event_base_loop(self->base, EVLOOP_NONBLOCK);
    return failed;
}

bool open_worker(worker *self, SOCKET on)
{
    self->base = new_base();
    self->socket = on;
    if (self->base == nullptr)
        return false;
    self->thread = CreateThread(nullptr, 0, work, self, 0, nullptr);
    return self->thread != nullptr && comes_true([&] { return self->ready.load(); });
}

bool close_worker(worker *self)
{
    event_base_loopexit(self->base, nullptr);
    bool ended = WaitForSingleObject(self->thread, deadline_ms) == WAIT_OBJECT_0;
    DWORD failed = 1;
    GetExitCodeThread(self->thread, &failed);
    CloseHandle(self->thread);
    if (ended)
        event_base_free(self->base);
    return ended && failed == 0;
}

int accepted_by(const worker *workers)
{
    int sum = 0;
    for (unsigned i = 0; i < bases; ++i)
        sum += workers[i].accepted;
    return sum;
}

// Which of them gets a client is chance: they come until the first base, which has been there longest, has one and stalls.
bool sharing_a_busy_base_keeps_nobody(struct event_base *)
{
    static worker workers[bases];
    struct sockaddr_in address;
    SOCKET socket = listening_socket(SOMAXCONN, &address);
    REQUIRE(socket != INVALID_SOCKET);
    HANDLE go_on = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    for (unsigned i = 0; i < bases; ++i) {
        workers[i].stalls_until = i == 0 ? go_on : nullptr;
        workers[i].flags = i == 0 ? LEV_OPT_CLOSE_ON_FREE : 0;
        REQUIRE(open_worker(&workers[i], socket));
    }
    SOCKET peers[clients];
    int connected = 0;
    for (; connected < 400 && !workers[0].stalled; ++connected) {
        SOCKET peer = client_of(address);
        REQUIRE(peer != INVALID_SOCKET);
        REQUIRE(comes_true([&] { return accepted_by(workers) == connected + 1; }));
        closesocket(peer);
    }
    for (SOCKET &peer : peers) {
        peer = client_of(address);
        REQUIRE(peer != INVALID_SOCKET);
    }
    bool all_came = comes_true([&] { return accepted_by(workers) == connected + static_cast<int>(clients); });
    SetEvent(go_on);
    workers[0].stalls_until = nullptr;
    for (SOCKET peer : peers)
        closesocket(peer);
    for (unsigned i = bases; i-- > 0;) // and the socket with the first
        REQUIRE(close_worker(&workers[i]));
    CloseHandle(go_on);
    REQUIRE(all_came);
    return true;
}

bool free_together()
{
    static worker workers[bases];
    struct sockaddr_in address;
    SOCKET socket = listening_socket(10, &address);
    REQUIRE(socket != INVALID_SOCKET);
    HANDLE go = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    for (worker &each : workers) {
        each.ready = false;
        each.flags = 0;
        each.frees_at = go;
        REQUIRE(open_worker(&each, socket));
    }
    SetEvent(go);
    for (worker &each : workers)
        REQUIRE(close_worker(&each));
    CloseHandle(go);
    closesocket(socket);
    return true;
}

bool sharing_listeners_are_freed_together(struct event_base *)
{
    long blocks = 0;
    for (unsigned i = 0; i < rounds; ++i) {
        REQUIRE(free_together());
        if (i == 0)
            blocks = live_blocks();
    }
    REQUIRE(live_blocks() <= blocks);
    REQUIRE(HeapValidate(GetProcessHeap(), 0, nullptr));
    return true;
}

// What one thread does to two bases with a listener each: a, b free the listeners, A, B the bases; 0, 1 disable the first
// and enable it; l turns both loops, and c is a client that connects.
struct pair {
    struct event_base *bases[2];
    struct evconnlistener *listeners[2];
    int accepted;
};

void on_pair_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    ++static_cast<pair *>(argument)->accepted;
    evutil_closesocket(fd);
}

// Each that connected while a listener was enabled, and the loops were turned after, is accepted.
void act(pair *on, char what, struct sockaddr_in address)
{
    int which = what == 'b' || what == 'B';
    if (what == 'a' || what == 'b') {
        evconnlistener_free(on->listeners[which]);
    } else if (what == 'A' || what == 'B') {
        event_base_free(on->bases[which]);
        on->bases[which] = nullptr;
    } else if (what == '0' || what == '1') {
        (what == '0' ? evconnlistener_disable : evconnlistener_enable)(on->listeners[0]);
    } else if (what == 'c') {
        closesocket(client_of(address));
    } else {
        for (int i = 0; i < 60; ++i)
            if (on->bases[i % 2] != nullptr)
                turn(on->bases[i % 2]);
    }
}

bool in_order(const char *letters, int accepted, bool one_base)
{
    pair both = {};
    struct sockaddr_in address;
    SOCKET socket = listening_socket(10, &address);
    REQUIRE(socket != INVALID_SOCKET);
    auto fd = static_cast<evutil_socket_t>(socket);
    for (int i = 0; i < 2; ++i) {
        both.bases[i] = one_base && i == 1 ? nullptr : new_base();
        struct event_base *base = one_base ? both.bases[0] : both.bases[i];
        both.listeners[i] = evconnlistener_new(base, on_pair_accept, &both, 0, 0, fd);
        REQUIRE(both.listeners[i] != nullptr);
        turn(base); // the first is alone, and has accepts in flight, when the second comes
    }
    for (const char *next = letters; *next != '\0'; ++next)
        if (!one_base || *next != 'B')
            act(&both, *next, address);
    closesocket(socket);
    if (both.accepted != accepted)
        printf("%s: %d accepted\n", letters, both.accepted);
    REQUIRE(both.accepted == accepted);
    REQUIRE(HeapValidate(GetProcessHeap(), 0, nullptr));
    return true;
}

struct order {
    const char *letters;
    int accepted;
};

const order orders[] = {
    {"lcbllaAB", 1},      {"lcallbAB", 1}, {"cccl0ccl1abAB", 5}, {"abAB", 0},        {"baBA", 0},
    {"aAclbB", 1},        {"bBclaA", 1},   {"claAclbB", 2},      {"0clbcl1laAB", 2}, {"0ccbB1laA", 2},
    {"0b1cclaABllll", 2}, {"0claAbB", 1},  {"clbclaABl", 2},
};

bool sharing_in_all_orders(struct event_base *)
{
    for (const order &each : orders)
        REQUIRE(in_order(each.letters, each.accepted, false));
    return true;
}

bool sharing_within_one_base(struct event_base *)
{
    for (const order &each : {order{"lclbclaA", 2}, order{"lclaclbA", 2}, order{"lclabA", 1}, order{"0cl1clbaA", 2}})
        REQUIRE(in_order(each.letters, each.accepted, true));
    return true;
}

void on_own_readable(evutil_socket_t fd, short, void *argument)
{
    SOCKET taken = accept(static_cast<SOCKET>(fd), nullptr, nullptr);
    if (taken == INVALID_SOCKET)
        return;
    ++*static_cast<int *>(argument);
    closesocket(taken);
}

// The plain event gets every client while the listener's base is not turned, or the listener is disabled.
bool own_accept_gets_all(bool one_base, bool listener_first, unsigned flags)
{
    pair both = {};
    struct sockaddr_in address;
    SOCKET socket = listening_socket(10, &address);
    REQUIRE(socket != INVALID_SOCKET);
    auto fd = static_cast<evutil_socket_t>(socket);
    struct event_base *listens = new_base();
    struct event_base *waits = one_base ? listens : new_base();
    int taken = 0;
    struct event *own = event_new(waits, fd, EV_READ | EV_PERSIST, on_own_readable, &taken);
    if (!listener_first)
        event_add(own, nullptr);
    struct evconnlistener *listener = evconnlistener_new(listens, on_pair_accept, &both, flags, 0, fd);
    REQUIRE(listener != nullptr);
    for (int i = 0; i < 3; ++i)
        turn(listens);
    if (listener_first)
        event_add(own, nullptr);
    if (one_base)
        evconnlistener_disable(listener);
    SOCKET peers[5];
    for (SOCKET &peer : peers)
        peer = client_of(address);
    REQUIRE(comes_true([&] {
        turn(waits);
        return taken == 5;
    }));
    REQUIRE(both.accepted == 0);
    event_free(own);
    evconnlistener_enable(listener);
    closesocket(client_of(address));
    REQUIRE(comes_true([&] {
        turn(listens);
        return both.accepted == 1;
    }));
    evconnlistener_free(listener);
    for (SOCKET peer : peers)
        closesocket(peer);
    if (flags == 0)
        closesocket(socket);
    event_base_free(listens);
    if (!one_base)
        event_base_free(waits);
    return true;
}

bool sharing_with_an_event_and_its_own_accept(struct event_base *)
{
    for (bool one_base : {false, true})
        for (bool listener_first : {false, true})
            for (unsigned flags : {0u, unsigned{LEV_OPT_CLOSE_ON_FREE}})
                REQUIRE(own_accept_gets_all(one_base, listener_first, flags));
    return true;
}

// Who comes while it is disabled is in the backlog, for the program's own accept().
bool sharing_a_disabled_listener_takes_nobody(struct event_base *base)
{
    pair both = {};
    struct sockaddr_in address;
    SOCKET socket = listening_socket(10, &address);
    REQUIRE(socket != INVALID_SOCKET);
    struct evconnlistener *listener =
        evconnlistener_new(base, on_pair_accept, &both, LEV_OPT_CLOSE_ON_FREE, 0, static_cast<evutil_socket_t>(socket));
    REQUIRE(listener != nullptr);
    for (int i = 0; i < 3; ++i)
        turn(base);
    evconnlistener_disable(listener);
    SOCKET peers[5];
    for (SOCKET &peer : peers)
        peer = client_of(address);
    int taken = 0;
    for (; taken < 4; ++taken) {
        SOCKET next = accept(socket, nullptr, nullptr);
        REQUIRE(next != INVALID_SOCKET);
        closesocket(next);
    }
    evconnlistener_enable(listener);
    REQUIRE(comes_true([&] {
        turn(base);
        return both.accepted == 1;
    }));
    evconnlistener_free(listener);
    for (SOCKET peer : peers)
        closesocket(peer);
    return true;
}

// Who has connected and was not accepted is the next one's, of whatever base, if the listener leaves its socket open.
bool sharing_one_after_the_other(struct event_base *)
{
    constexpr int each_time = 5;
    pair both = {};
    SOCKET peers[3 * each_time];
    int connected = 0;
    struct sockaddr_in address;
    SOCKET socket = listening_socket(SOMAXCONN, &address);
    REQUIRE(socket != INVALID_SOCKET);
    both.bases[0] = new_base();
    both.bases[1] = new_base();
    for (int i = 0; i <= 3; ++i) {
        struct event_base *base = both.bases[i % 2];
        struct evconnlistener *listener =
            evconnlistener_new(base, on_pair_accept, &both, 0, 0, static_cast<evutil_socket_t>(socket));
        REQUIRE(listener != nullptr);
        REQUIRE(comes_true([&] {
            turn(base);
            return both.accepted == connected;
        }));
        for (int k = 0; i < 3 && k < each_time; ++k) {
            peers[connected++] = client_of(address);
            REQUIRE(peers[connected - 1] != INVALID_SOCKET);
        }
        evconnlistener_free(listener);
    }
    for (SOCKET peer : peers)
        closesocket(peer);
    closesocket(socket);
    event_base_free(both.bases[0]);
    event_base_free(both.bases[1]);
    return true;
}

struct waiter {
    SOCKET socket;
    std::atomic<bool> ends;
    std::atomic<int> waits;
    std::atomic<int> error;
};

// As a thread of the program's own does, or the loop of a base on select.
DWORD WINAPI wait_in_select(void *argument)
{
    auto *self = static_cast<waiter *>(argument);
    while (!self->ends && self->error == 0) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(self->socket, &set);
        struct timeval limit = {0, 20000};
        ++self->waits;
        if (select(0, &set, nullptr, nullptr, &limit) == SOCKET_ERROR)
            self->error = WSAGetLastError();
    }
    return 0;
}

// Whoever comes to share a socket ends the accepts of another on it, and nothing else.
bool sharing_leaves_a_waiting_select_alone(struct event_base *base)
{
    for (unsigned i = 0; i < rounds; ++i) {
        pair both = {};
        struct sockaddr_in address;
        waiter other = {};
        other.socket = listening_socket(10, &address);
        REQUIRE(other.socket != INVALID_SOCKET);
        auto fd = static_cast<evutil_socket_t>(other.socket);
        struct evconnlistener *owner = evconnlistener_new(base, on_pair_accept, &both, LEV_OPT_CLOSE_ON_FREE, 0, fd);
        for (int k = 0; k < 3; ++k)
            turn(base);
        HANDLE thread = CreateThread(nullptr, 0, wait_in_select, &other, 0, nullptr);
        REQUIRE(owner != nullptr && thread != nullptr && comes_true([&] { return other.waits > 1; }));
        struct evconnlistener *next = evconnlistener_new(base, on_pair_accept, &both, 0, 0, fd);
        int before = other.waits;
        bool goes_on = comes_true([&] { return other.waits > before + 1; });
        other.ends = true;
        bool ended = WaitForSingleObject(thread, deadline_ms) == WAIT_OBJECT_0;
        CloseHandle(thread);
        evconnlistener_free(next);
        evconnlistener_free(owner);
        REQUIRE(goes_on && ended && other.error == 0);
    }
    return true;
}

} // namespace

const guarantee sharing_guarantees[] = {
    {"sharing_a_busy_base_keeps_nobody", sharing_a_busy_base_keeps_nobody},
    {"sharing_listeners_are_freed_together", sharing_listeners_are_freed_together},
    {"sharing_in_all_orders", sharing_in_all_orders},
    {"sharing_within_one_base", sharing_within_one_base},
    {"sharing_with_an_event_and_its_own_accept", sharing_with_an_event_and_its_own_accept},
    {"sharing_a_disabled_listener_takes_nobody", sharing_a_disabled_listener_takes_nobody},
    {"sharing_one_after_the_other", sharing_one_after_the_other},
    {"sharing_leaves_a_waiting_select_alone", sharing_leaves_a_waiting_select_alone},
    {nullptr, nullptr},
};

} // namespace parity
