// Bases and bufferevents that another thread takes over.
#include "guarantees.h"

namespace parity {

namespace {

constexpr int handovers = 200;
constexpr size_t first_length = 100, second_length = 300;

struct handover {
    HANDLE go;
    record *from;
    record *to;
};

// What a pool of workers does with a connection that it moves to another bufferevent.
DWORD WINAPI hand_over(void *argument)
{
    auto *self = static_cast<handover *>(argument);
    WaitForSingleObject(self->go, INFINITE);
    peer_send(&self->from->on, second_length, 3);
    evutil_socket_t fd = bufferevent_getfd(self->from->bev);
    bufferevent_setfd(self->from->bev, -1);
    bufferevent_setfd(self->to->bev, fd);
    bufferevent_enable(self->to->bev, EV_READ);
    return 0;
}

bool one_handover(struct event_base *base)
{
    constexpr int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE;
    record one, next;
    REQUIRE(open_pair(base, &one, options));
    REQUIRE(open_unconnected(base, &next, options));
    bufferevent_enable(one.bev, EV_READ);
    peer_send(&one.on, first_length, 1);
    REQUIRE(run_until(base, [&] { return one.data.size() == first_length; }));
    handover by_another = {CreateEventW(nullptr, FALSE, FALSE, nullptr), &one, &next};
    HANDLE thread = CreateThread(nullptr, 0, hand_over, &by_another, 0, nullptr);
    SetEvent(by_another.go);
    bool all_came = run_until(base, [&] { return one.data.size() + next.data.size() == first_length + second_length; });
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    CloseHandle(by_another.go);
    REQUIRE(all_came);
    REQUIRE(one.data + next.data == pattern(one.on.id, 0, first_length + second_length));
    bufferevent_free(next.bev); // it has the descriptor
    one.on.near_end = INVALID_SOCKET;
    close_pair(&one);
    return true;
}

bool r6_handover_by_another_thread(struct event_base *base)
{
    for (int i = 0; i < handovers; ++i)
        REQUIRE(one_handover(base));
    return true;
}

struct moved_base {
    struct event_base *base;
    record *one;
    record *unused; // of another base, which is to be freed
    struct event_base *to_be_freed;
    volatile LONG done;
    bool holds;
};

constexpr size_t moved_messages = 20;

bool go_on_with(moved_base *self)
{
    for (size_t count = 1; count <= moved_messages; ++count) {
        peer_send(&self->one->on, 100, 1);
        REQUIRE(run_until(self->base, [&] { return self->one->data.size() == (count + 1) * 100; }));
    }
    bufferevent_free(self->unused->bev);
    self->unused->bev = nullptr;
    event_base_free(self->to_be_freed);
    return true;
}

DWORD WINAPI go_on(void *argument)
{
    auto *self = static_cast<moved_base *>(argument);
    self->holds = go_on_with(self);
    InterlockedExchange(&self->done, 1);
    return 0;
}

// A thread that has run the loop and then computes keeps no packet back from the one that runs it now, nor from one
// that frees a base. (Of a port of concurrency 1 Windows would give the second thread nothing.)
bool a_base_goes_on_while_its_first_thread_computes(struct event_base *base)
{
    record one, unused;
    struct event_base *to_be_freed = new_base();
    REQUIRE(to_be_freed != nullptr);
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE));
    REQUIRE(open_pair(to_be_freed, &unused, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE));
    bufferevent_enable(one.bev, EV_READ);
    bufferevent_enable(unused.bev, EV_READ);
    peer_send(&one.on, 100, 1);
    peer_send(&unused.on, 100, 1);
    REQUIRE(run_until(base, [&] { return one.data.size() == 100; }));
    REQUIRE(run_until(to_be_freed, [&] { return unused.data.size() == 100; }));
    moved_base moved = {base, &one, &unused, to_be_freed, 0, false};
    HANDLE thread = CreateThread(nullptr, 0, go_on, &moved, 0, nullptr);
    for (ULONGLONG end = GetTickCount64() + 6 * deadline_ms; !moved.done && GetTickCount64() < end;) { // computes
    }
    REQUIRE(WaitForSingleObject(thread, deadline_ms) == WAIT_OBJECT_0);
    CloseHandle(thread);
    REQUIRE(moved.holds);
    REQUIRE(one.data == pattern(one.on.id, 0, (moved_messages + 1) * 100));
    close_pair(&one);
    close_pair(&unused);
    return true;
}

} // namespace

const guarantee thread_guarantees[] = {
    {"a_base_goes_on_while_its_first_thread_computes", a_base_goes_on_while_its_first_thread_computes},
    {"r6_handover_by_another_thread", r6_handover_by_another_thread},
    {nullptr, nullptr},
};

} // namespace parity
