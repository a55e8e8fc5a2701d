// Several bases, each in its thread, with a listener on one socket: connections come to all of them in equal parts, and
// a base that is busy, disabled or gone leaves its part to the others. (On select whoever wakes first has them.)
#include "guarantees.h"

#include <event2/thread.h>

#include <atomic>

namespace parity {

namespace {

constexpr unsigned bases = 4;
constexpr int connections = 400;
// That far from equal parts. Windows may keep a thread from running meanwhile: then not in this round.
constexpr int most_off = 15, most_rounds = 40;

struct spread_worker {
    struct event_base *base;
    struct evconnlistener *listener;
    SOCKET socket;
    HANDLE thread;
    DWORD id;
    HANDLE stalls_until; // its next accept waits for this; NULL: it does not
    std::atomic<int> accepted;
    std::atomic<int> echoed;
    std::atomic<bool> is_elsewhere; // a callback ran in another thread
    std::atomic<bool> stalled;
    std::atomic<bool> ready;
};

void on_spread_input(struct bufferevent *served, void *argument)
{
    auto *self = static_cast<spread_worker *>(argument);
    if (GetCurrentThreadId() != self->id || bufferevent_get_base(served) != self->base)
        self->is_elsewhere = true;
    ++self->echoed;
    bufferevent_write_buffer(served, bufferevent_get_input(served));
}

void on_spread_end(struct bufferevent *served, short, void *)
{
    bufferevent_free(served);
}

void on_spread_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *address, int length, void *argument)
{
    auto *self = static_cast<spread_worker *>(argument);
    if (GetCurrentThreadId() != self->id || length < static_cast<int>(sizeof(struct sockaddr_in)) ||
        reinterpret_cast<struct sockaddr_in *>(address)->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
        self->is_elsewhere = true;
    struct bufferevent *served = bufferevent_socket_new(self->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(served, on_spread_input, nullptr, on_spread_end, self);
    bufferevent_enable(served, EV_READ);
    ++self->accepted;
    if (self->stalls_until == nullptr)
        return;
    self->stalled = true;
    WaitForSingleObject(self->stalls_until, deadline_ms);
}

DWORD WINAPI spread_work(void *argument)
{
    auto *self = static_cast<spread_worker *>(argument);
    self->id = GetCurrentThreadId();
    event_base_loop(self->base, EVLOOP_NONBLOCK);
    self->ready = true;
    return event_base_loop(self->base, EVLOOP_NO_EXIT_ON_EMPTY) != 0;
}

bool spread_open(spread_worker *workers, struct sockaddr_in *address)
{
    SOCKET socket = listening_socket(SOMAXCONN, address);
    REQUIRE(socket != INVALID_SOCKET);
    for (unsigned i = 0; i < bases; ++i) {
        spread_worker *self = &workers[i];
        self->socket = socket;
        self->base = new_base();
        REQUIRE(self->base != nullptr);
        self->listener = evconnlistener_new(self->base, on_spread_accept, self, i == 0 ? LEV_OPT_CLOSE_ON_FREE : 0, 0,
                                            static_cast<evutil_socket_t>(socket));
        REQUIRE(self->listener != nullptr);
        self->thread = CreateThread(nullptr, 0, spread_work, self, 0, nullptr);
        REQUIRE(self->thread != nullptr && comes_true([&] { return self->ready.load(); }));
    }
    return true;
}

bool spread_close(spread_worker *workers)
{
    for (unsigned i = bases; i-- > 0;) { // the first has the socket
        spread_worker *self = &workers[i];
        event_base_loopexit(self->base, nullptr);
        REQUIRE(WaitForSingleObject(self->thread, deadline_ms) == WAIT_OBJECT_0);
        CloseHandle(self->thread);
        if (self->listener != nullptr)
            evconnlistener_free(self->listener);
        event_base_free(self->base);
        REQUIRE(!self->is_elsewhere);
    }
    return true;
}

int spread_accepted(const spread_worker *workers)
{
    int sum = 0;
    for (unsigned i = 0; i < bases; ++i)
        sum += workers[i].accepted;
    return sum;
}

// Of all that came since this was asked last: each of them has been told of, whether in equal parts or not.
bool spread_has_all(spread_worker *workers, unsigned first, bool *is_even)
{
    int part = connections / static_cast<int>(bases - first), sum = 0;
    *is_even = true;
    for (unsigned i = first; i < bases; ++i) {
        int accepted = workers[i].accepted.exchange(0);
        printf("%d ", accepted);
        *is_even = *is_even && accepted >= part - most_off && accepted <= part + most_off;
        sum += accepted;
    }
    printf("\n");
    return sum == connections;
}

bool spread_answers(SOCKET peer)
{
    char byte = 'a';
    return send(peer, &byte, 1, 0) == 1 && recv(peer, &byte, 1, 0) == 1;
}

enum class coming { one_after_the_other, at_once };

bool spread_round(const struct sockaddr_in &address, coming how)
{
    static SOCKET peers[connections];
    for (SOCKET &each : peers) {
        each = client_of(address);
        REQUIRE(each != INVALID_SOCKET);
        if (how == coming::one_after_the_other)
            REQUIRE(spread_answers(each));
    }
    for (SOCKET each : peers) {
        if (how == coming::at_once)
            REQUIRE(spread_answers(each));
        closesocket(each);
    }
    return true;
}

bool spread_is_even(spread_worker *workers, unsigned first, const struct sockaddr_in &address, coming how)
{
    bool is_even = false;
    for (int round = 0; round < most_rounds && !is_even; ++round) {
        REQUIRE(spread_round(address, how));
        REQUIRE(spread_has_all(workers, first, &is_even));
    }
    return is_even;
}

bool spread_one_after_the_other(struct event_base *)
{
    static spread_worker workers[bases];
    struct sockaddr_in address;
    REQUIRE(spread_open(workers, &address));
    REQUIRE(spread_is_even(workers, 0, address, coming::one_after_the_other));
    return spread_close(workers);
}

bool spread_in_bursts(struct event_base *)
{
    static spread_worker workers[bases];
    struct sockaddr_in address;
    REQUIRE(spread_open(workers, &address));
    REQUIRE(spread_is_even(workers, 0, address, coming::at_once));
    return spread_close(workers);
}

// Which of them gets a client is known here: all others are asleep. What comes while it stalls is the others'.
bool spread_past_a_base_that_stalls(struct event_base *)
{
    static spread_worker workers[bases];
    static SOCKET peers[connections];
    struct sockaddr_in address;
    HANDLE go_on = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    workers[0].stalls_until = go_on;
    REQUIRE(spread_open(workers, &address));
    int connected = 0;
    for (; connected < connections && !workers[0].stalled; ++connected) {
        peers[connected] = client_of(address);
        REQUIRE(comes_true([&] { return spread_accepted(workers) == connected + 1; }));
    }
    REQUIRE(workers[0].stalled);
    for (spread_worker &each : workers)
        each.accepted = 0;
    REQUIRE(spread_is_even(workers, 1, address, coming::one_after_the_other));
    REQUIRE(workers[0].accepted == 0);
    SetEvent(go_on);
    for (int i = 0; i < connected; ++i)
        closesocket(peers[i]);
    REQUIRE(spread_close(workers));
    CloseHandle(go_on);
    return true;
}

// In the listener's own thread, as libevent wants it: its lock is held while event_del waits for the callback.
bool spread_ask(spread_worker *self, event_callback_fn what)
{
    struct timeval at_once = {0, 0};
    return event_base_once(self->base, -1, EV_TIMEOUT, what, self, &at_once) == 0;
}

void spread_disable(evutil_socket_t, short, void *argument)
{
    evconnlistener_disable(static_cast<spread_worker *>(argument)->listener);
}

void spread_enable(evutil_socket_t, short, void *argument)
{
    evconnlistener_enable(static_cast<spread_worker *>(argument)->listener);
}

void spread_free(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<spread_worker *>(argument);
    evconnlistener_free(self->listener);
    self->listener = nullptr;
}

// One is disabled, another freed, in the midst of a burst: nobody is lost.
bool spread_while_listeners_go(struct event_base *)
{
    static spread_worker workers[bases];
    static SOCKET peers[connections];
    struct sockaddr_in address;
    REQUIRE(spread_open(workers, &address));
    for (int i = 0; i < connections; ++i) {
        if (i == connections / 4)
            REQUIRE(spread_ask(&workers[1], spread_disable));
        if (i == connections / 3)
            REQUIRE(spread_ask(&workers[2], spread_free));
        if (i == connections / 2)
            REQUIRE(spread_ask(&workers[1], spread_enable));
        peers[i] = client_of(address);
        REQUIRE(peers[i] != INVALID_SOCKET);
    }
    for (SOCKET each : peers)
        REQUIRE(spread_answers(each));
    for (SOCKET each : peers)
        closesocket(each);
    REQUIRE(spread_accepted(workers) == connections);
    return spread_close(workers);
}

} // namespace

const guarantee spreading_guarantees[] = {
    {"spread_one_after_the_other", spread_one_after_the_other},
    {"spread_in_bursts", spread_in_bursts},
    {"spread_past_a_base_that_stalls", spread_past_a_base_that_stalls},
    {"spread_while_listeners_go", spread_while_listeners_go},
    {nullptr, nullptr},
};

} // namespace parity
