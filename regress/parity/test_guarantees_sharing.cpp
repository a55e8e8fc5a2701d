// One listening socket, several bases: the threaded server of Windows, where a port cannot be bound twice. Each
// listener may be disabled and freed at any time in its own thread, and no connection waits for a base that is busy.
#include "guarantees.h"

#include <event2/thread.h>

#include <atomic>
#include <string.h>

namespace parity {

namespace {

constexpr unsigned bases = 4;
constexpr unsigned clients = 20;
constexpr unsigned rounds = 50; // of threads that free their listeners at the same time

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

// Which of them gets a client is chance: they come until the first base, which has been there longest, has one and
// stalls.
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
    REQUIRE(comes_true([&] { return workers[0].stalled.load(); }));
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

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    evutil_closesocket(fd);
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
        struct sockaddr_in address;
        waiter other = {};
        other.socket = listening_socket(10, &address);
        REQUIRE(other.socket != INVALID_SOCKET);
        auto fd = static_cast<evutil_socket_t>(other.socket);
        struct evconnlistener *owner = evconnlistener_new(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 0, fd);
        for (int k = 0; k < 3; ++k)
            turn(base);
        HANDLE thread = CreateThread(nullptr, 0, wait_in_select, &other, 0, nullptr);
        REQUIRE(owner != nullptr && thread != nullptr && comes_true([&] { return other.waits > 1; }));
        struct evconnlistener *next = evconnlistener_new(base, on_accept, nullptr, 0, 0, fd);
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
    {"sharing_leaves_a_waiting_select_alone", sharing_leaves_a_waiting_select_alone},
    {nullptr, nullptr},
};

} // namespace parity
