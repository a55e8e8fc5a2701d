// R13, R15, S10: busy connections and rate limits, and wake-ups from other threads.
#include "guarantees.h"

#include <algorithm>

namespace parity {

namespace {

constexpr int least_ticks = 20, least_callbacks = 100;
constexpr int max_callbacks_before_a_timer = 20;
constexpr int group_members = 30;
constexpr size_t group_rate = 4000; // a tick
constexpr long group_tick_seconds = 3600;

double now_ms()
{
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    return static_cast<double>(count.QuadPart) * 1000.0 / static_cast<double>(frequency.QuadPart);
}

struct ticking {
    struct event_base *base;
    struct event *timer;
    double due;
    int callbacks; // of the flooded one
    int callbacks_since;
    int most;
    int count;
};

void on_timer(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<ticking *>(argument);
    self->most = std::max(self->most, self->callbacks_since);
    self->callbacks_since = 0;
    ++self->count;
    if (self->count >= least_ticks && self->callbacks >= least_callbacks)
        event_base_loopbreak(self->base);
    self->due = now_ms() + 10;
    struct timeval ten = {0, 10 * 1000};
    event_add(self->timer, &ten);
}

volatile LONG flooding;

DWORD WINAPI flood(void *argument)
{
    SOCKET to = *static_cast<SOCKET *>(argument);
    static char block[65536];
    while (flooding != 0) {
        if (send(to, block, sizeof(block), 0) < 0) {
            fd_set set;
            FD_ZERO(&set);
            FD_SET(to, &set);
            struct timeval millisecond = {0, 1000};
            select(0, nullptr, &set, nullptr, &millisecond);
        }
    }
    return 0;
}

void discard(struct bufferevent *bev, void *argument)
{
    auto *tick = static_cast<ticking *>(argument);
    ++tick->callbacks;
    if (now_ms() > tick->due)
        ++tick->callbacks_since;
    struct evbuffer *input = bufferevent_get_input(bev);
    evbuffer_drain(input, evbuffer_get_length(input));
}

bool r13_a_flood_does_not_hold_up_timers(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    ticking tick = {};
    tick.base = base;
    bufferevent_setcb(one.bev, discard, nullptr, nullptr, &tick);
    bufferevent_enable(one.bev, EV_READ);
    flooding = 1;
    HANDLE thread = CreateThread(nullptr, 0, flood, &one.on.far_end, 0, nullptr);
    tick.timer = evtimer_new(base, on_timer, &tick);
    tick.due = now_ms() + 10;
    struct timeval ten = {0, 10 * 1000}, end = {deadline_ms / 1000, 0};
    event_add(tick.timer, &ten);
    event_base_loopexit(base, &end);
    event_base_dispatch(base);
    flooding = 0;
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    printf("%d ticks, %d callbacks, at most %d before a tick that was due\n", tick.count, tick.callbacks, tick.most);
    event_free(tick.timer);
    close_pair(&one);
    REQUIRE(tick.count >= least_ticks && tick.callbacks >= least_callbacks);
    REQUIRE(tick.most <= max_callbacks_before_a_timer);
    return true;
}

struct waking {
    struct event *event;
    struct event_base *base;
    HANDLE go;
    short told;
};

void on_wake(evutil_socket_t, short what, void *argument)
{
    auto *self = static_cast<waking *>(argument);
    self->told = what;
    event_base_loopbreak(self->base);
}

DWORD WINAPI wake(void *argument)
{
    auto *self = static_cast<waking *>(argument);
    WaitForSingleObject(self->go, INFINITE);
    event_active(self->event, EV_READ, 0);
    return 0;
}

void let_go(evutil_socket_t, short, void *argument)
{
    SetEvent(static_cast<waking *>(argument)->go);
}

bool r15_woken_from_another_thread(struct event_base *base)
{
    for (int i = 0; i < 10; ++i) {
        waking self = {};
        self.base = base;
        self.go = CreateEventW(nullptr, FALSE, FALSE, nullptr);
        self.event = event_new(base, -1, EV_PERSIST, on_wake, &self);
        struct timeval long_time = {deadline_ms / 1000, 0}, soon = {0, 1000};
        event_add(self.event, &long_time);
        event_base_once(base, -1, EV_TIMEOUT, let_go, &self, &soon);
        HANDLE thread = CreateThread(nullptr, 0, wake, &self, 0, nullptr);
        event_base_dispatch(base);
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
        CloseHandle(self.go);
        event_free(self.event);
        REQUIRE(self.told == EV_READ); // and not when its own time was up
    }
    return true;
}

// Members that have nothing to read must not use up what the busy one may have: it has the whole of the first tick, and
// there is no second.
bool s10_idle_members_cost_a_group_nothing(struct event_base *base)
{
    struct timeval tick = {group_tick_seconds, 0};
    struct ev_token_bucket_cfg *rates = ev_token_bucket_cfg_new(group_rate, group_rate, group_rate, group_rate, &tick);
    struct bufferevent_rate_limit_group *group = bufferevent_rate_limit_group_new(base, rates);
    static record members[group_members];
    for (record &one : members) {
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_add_to_rate_limit_group(one.bev, group);
        bufferevent_enable(one.bev, EV_READ);
    }
    some_turns(base);
    record *busy = &members[0];
    peer_send(&busy->on, static_cast<int>(group_rate), 1);
    REQUIRE(busy->on.sent == group_rate);
    REQUIRE(run_until(base, [&] { return busy->data.size() == group_rate; }));
    ev_uint64_t read = 0, written = 0;
    bufferevent_rate_limit_group_get_totals(group, &read, &written);
    REQUIRE(read == group_rate && written == 0);
    for (record &one : members) {
        bufferevent_remove_from_rate_limit_group(one.bev);
        close_pair(&one);
    }
    turn(base);
    bufferevent_rate_limit_group_free(group);
    ev_token_bucket_cfg_free(rates);
    return true;
}

} // namespace

const guarantee fairness_guarantees[] = {
    {"r13_a_flood_does_not_hold_up_timers", r13_a_flood_does_not_hold_up_timers},
    {"r15_woken_from_another_thread", r15_woken_from_another_thread},
    {"s10_idle_members_cost_a_group_nothing", s10_idle_members_cost_a_group_nothing},
    {nullptr, nullptr},
};

} // namespace parity
