// libevent's backend interface (struct eventop): where a base enters and where its loop waits.
#include "backend/backend.h"
#include "backend/socket_interest.h"
#include "backend/signals.h"
#include "backend/submit.h"

namespace iocp {

namespace {

// Batches dequeued in one turn, before callbacks and timers get theirs.
constexpr int max_batches = 8;

// The longest sleep while a start waits for the kernel to have memory again.
constexpr int64_t retry_wait_us = 10 * 1000;

void wake_packet(struct event_overlapped *record, ev_uintptr_t, ev_ssize_t, int)
{
    // Cleared when the packet is taken, not when it is posted: wake-ups in between need no packet of their own.
    EVUTIL_UPCAST(record, backend, wake)->base->is_notify_pending = 0;
}

int wake_base(struct event_base *base)
{
    backend *self = backend_of(base);
    if (port_post(self->on, &self->wake, 0, 0) == 0)
        return 0;
    base->is_notify_pending = 0; // no packet will clear it
    return -1;
}

bool asked_for(const struct event_base *base)
{
    if ((base->flags & EVENT_BASE_FLAG_STARTUP_IOCP) != 0 || iocp_every_base != 0)
        return true;
    return environment_asks(base, "EVENT_IOCP");
}

void hold_precise_clock(backend *self, bool hold)
{
    if (self->precise != hold)
        sys::precise_clock(hold);
    self->precise = hold;
}

void make_wakeable(backend *self)
{
    event_overlapped_init_(&self->wake, wake_packet);
    self->base->th_notify_fn = wake_base;
    hold_precise_clock(self, (self->base->flags & EVENT_BASE_FLAG_PRECISE_TIMER) != 0);
    signals_init(self);
}

backend *start(struct event_base *base)
{
    // Its port is there already after event_reinit, and when a base moves over from select.
    port *on = port_of_face(base->iocp);
    if (on != nullptr) {
        EVUTIL_ASSERT(on->owner != nullptr && on->owner->base == base);
        make_wakeable(on->owner);
        return on->owner;
    }
    on = port_open();
    if (on == nullptr)
        return nullptr;
    auto *self = static_cast<backend *>(mm_calloc(1, sizeof(backend)));
    if (self == nullptr) {
        event_warn("%s: calloc", __func__);
        port_close(on);
        return nullptr;
    }
    self->base = base;
    self->on = on;
    on->owner = self;
    base->iocp = &on->face;
    make_wakeable(self);
    evutil_weakrand_seed_(&base->weakrand_seed, 0);
    return self;
}

void *iocp_init(struct event_base *base)
{
    if (base->iocp == nullptr && !asked_for(base))
        return nullptr;
    backend *self = start(base);
    if (self == nullptr && (base->flags & EVENT_BASE_FLAG_STARTUP_IOCP) != 0)
        base->iocp = &port_refused.face; // the warning has been given: libevent need not try again
    return self;
}

void *last_resort_init(struct event_base *base)
{
    // Reached when the configuration or the environment rules select out. The base is told that its backend is the
    // first entry, so that nothing has to know of two.
    if (base->iocp == &port_refused.face)
        return nullptr;
    base->evsel = &iocpops;
    return start(base);
}

int iocp_add(struct event_base *base, evutil_socket_t fd, short old, short events, void *fdinfo)
{
    return interest_add(backend_of(base), fd, old, events, static_cast<socket_record **>(fdinfo));
}

int iocp_del(struct event_base *, evutil_socket_t, short, short events, void *fdinfo)
{
    return interest_del(events, static_cast<socket_record **>(fdinfo));
}

int64_t wait_us(const backend *self, const struct timeval *tv, bool any_ready)
{
    if (any_ready)
        return 0;
    int64_t wait = -1;
    if (tv != nullptr) {
        constexpr int64_t max_seconds = INT32_MAX;
        int64_t seconds = tv->tv_sec < max_seconds ? static_cast<int64_t>(tv->tv_sec) : max_seconds;
        wait = seconds * 1000000 + tv->tv_usec;
    }
    if (self->retry_soon && (wait < 0 || wait > retry_wait_us))
        wait = retry_wait_us;
    return wait;
}

// Takes batches from the port until one is not full; the base's lock is free only during the wait.
int collect(backend *self, int64_t timeout_us)
{
    struct event_base *base = self->base;
    for (int batch = 0; batch < max_batches; ++batch) {
        OVERLAPPED_ENTRY entries[max_packets];
        ULONG count = 0;
        ULONG wanted = port_packets_wanted(self->on, base->nactivequeues > 1 || timeout_us == 0);
        EVBASE_RELEASE_LOCK(base, th_base_lock);
        int error =
            sys::port_dequeue(self->on->face.port, entries, wanted, timeout_us, sys::wait_kind::alertable, &count);
        EVBASE_ACQUIRE_LOCK(base, th_base_lock);
        if (error != 0) {
            event_warnx("iocp: the completion port failed (error %d)", error);
            return -1;
        }
        self->packets += count;
        port_packets_came(self->on, wanted, count);
        port_deliver(self->on, entries, count);
        if (count < max_packets)
            break;
        timeout_us = 0;
    }
    return 0;
}

// Looks at the port, or waits there. 0, or -1.
int look(backend *self, int64_t timeout_us)
{
    uint64_t packets = self->packets;
    int64_t before = sys::now_ns();
    ++(timeout_us == 0 ? self->looks : self->waits);
    int result = collect(self, timeout_us);
    pace_looked(&self->pace, timeout_us == 0 && self->packets == packets, before, sys::now_ns());
    return result;
}

// Has anything come that should be dealt with before receives are started, or before somebody sends again?
bool look_first(backend *self, int *result)
{
    bool any_to_start = self->receiving.first != nullptr || self->polling.first != nullptr;
    if ((!any_to_start && !self->pace.sender_is_ahead) || self->on->in_flight.count == 0 ||
        !pace_may_look_first(&self->pace))
        return false;
    uint64_t before = self->packets;
    *result = look(self, 0);
    bool came = self->packets != before;
    pace_looked_first(&self->pace, came);
    return came || *result != 0;
}

// What a turn goes by.
struct turn_plan {
    bool at_once;    // all that is ready is wanted now: priorities rank it, or the loop would not wait
    bool goes_on;    // the loop has callbacks to run, whatever the port brings
    bool only_looks; // the program asks what is ready now (EVLOOP_NONBLOCK)
};

turn_plan plan_turn(const backend *self, const struct timeval *tv)
{
    bool must_not_wait = tv != nullptr && !evutil_timerisset(tv);
    turn_plan plan;
    plan.goes_on = must_not_wait && N_ACTIVE_CALLBACKS(self->base) != 0;
    plan.only_looks = must_not_wait && !plan.goes_on;
    plan.at_once = self->base->nactivequeues > 1 || must_not_wait;
    return plan;
}

// Is it time for a look at the port, though there is something to do without it? Wake-ups and signals are known of without a
// call. Of sockets only a look tells: at once if priorities are to rank what comes, and now and then otherwise.
bool look_is_due(backend *self)
{
    bool is_known = self->on->posted != 0 || signals_waiting();
    return pace_look_is_due(&self->pace, sys::now_ns()) || is_known || self->base->nactivequeues > 1;
}

bool anything_to_see(const backend *self)
{
    return port_owes(self->on) || signals_waiting();
}

// Timers that have come due since the loop asked for its next one run after this turn. On select, what was ready before
// them comes first: so a turn of that kind leaves nothing out.
bool timers_are_due(backend *self)
{
    const struct event *first = min_heap_top_(&self->base->timeheap);
    struct timeval now;
    if (first == nullptr)
        return false;
    evutil_gettime_monotonic_(&self->base->monotonic_timer, &now);
    return evutil_timercmp(&first->ev_timeout, &now, <=);
}

// One turn of the loop: hands on what is ready without a call, and sends; starts receives and polls, if nothing is to be
// sent first; looks at the port, or waits there if all that has brought nothing.
int take_turn(backend *self, struct timeval *tv)
{
    ++self->turn;
    sources_free(self);
    self->retry_soon = false;
    signals_claim(self);
    turn_plan plan = plan_turn(self, tv);
    bool any_ready = submit_ready(self) || plan.goes_on;
    bool is_due = any_ready && look_is_due(self);
    int result = 0;
    bool receives_first = !any_ready || self->pace.sender_is_ahead;
    bool came = receives_first && !plan.at_once && look_first(self, &result);
    bool at_once = plan.at_once || timers_are_due(self);
    if (result != 0 || (came && !at_once))
        return result;
    any_ready = any_ready || came;
    // What waits while others are ready all the time is not held back for ever.
    bool held_back = pace_starts_held_back(&self->pace) && is_due;
    if (receives_first || at_once || held_back) {
        receives which = any_ready ? receives::before_sends : receives::at_pace;
        which = held_back ? receives::held_back : which;
        bool found = submit_receives(self, at_once ? receives::at_once : which);
        is_due = is_due || (found && !any_ready && look_is_due(self));
        any_ready = any_ready || found;
    }
    if (any_ready && !plan.only_looks && (!is_due || !anything_to_see(self)))
        return 0;
    return look(self, wait_us(self, tv, any_ready));
}

int iocp_dispatch(struct event_base *base, struct timeval *tv)
{
    // Callbacks may ask for the error of a call that the program has made before it waited (evutil_socket_geterror).
    int error = WSAGetLastError();
    int result = take_turn(backend_of(base), tv);
    if (result == 0)
        WSASetLastError(error);
    return result;
}

void iocp_dealloc(struct event_base *base)
{
    backend *self = backend_of(base);
    if (self == nullptr)
        return;
    signals_dealloc(self);
    interest_drop_all(self);
    base->th_notify_fn = nullptr;
    base->is_notify_pending = 0;
    hold_precise_clock(self, false);
    if (base->iocp != nullptr)
        return; // event_reinit: init comes next, and finds its port, with the sockets that are bound to it
    backend_close(self);
    base->evbase = nullptr;
}

constexpr auto iocp_features = static_cast<event_method_feature>(EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE);

} // namespace

backend *backend_of(struct event_base *base)
{
    return base->evsel == &iocpops ? static_cast<backend *>(base->evbase) : nullptr;
}

const struct eventop iocpops = {
    "iocp",
    iocp_init,
    iocp_add,
    iocp_del,
    iocp_dispatch,
    iocp_dealloc,
    1, // need_reinit: wake-ups and signals are set up by init
    iocp_features,
    sizeof(socket_record *),
};

const struct eventop iocp_last_resort_ops = {
    "iocp",        last_resort_init,        iocp_add, iocp_del, iocp_dispatch, iocp_dealloc, 1,
    iocp_features, sizeof(socket_record *),
};

} // namespace iocp
