// R6 from another thread than the loop's.
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

} // namespace

const guarantee thread_guarantees[] = {
    {"r6_handover_by_another_thread", r6_handover_by_another_thread},
    {nullptr, nullptr},
};

} // namespace parity
