#include "backend/embedding.h"
#include "backend/backend.h"
#include "backend/loop_turn.h"
#include "backend/port_watcher.h"
#include "backend/signals.h"

#include "compat/versions.h"

#include "event2/iocp_embed.h"

#include <atomic>

namespace iocp {

namespace {

bool embedding_ports_can_be_waited_for()
{
    enum { unknown, yes, no };
    static std::atomic<int> known;
    if (known == unknown)
        known = sys::ports_can_be_waited_for() ? yes : no;
    return known == yes;
}

bool embedding_is_left(const embedding *self)
{
    return self->stage == embedding_stage::sleeps || self->stage == embedding_stage::yields;
}

// Whether a thread can take the base's lock, which it has, once more.
bool embedding_lock_nests(struct event_base *base)
{
#ifndef EVENT__DISABLE_THREAD_SUPPORT
    if (base->th_base_lock == nullptr)
        return true;
    if (evthreadimpl_is_lock_debugging_enabled_() || !EVLOCK_TRY_LOCK_(base->th_base_lock))
        return false;
    EVBASE_RELEASE_LOCK(base, th_base_lock);
#endif
    (void)base;
    return true;
}

void embedding_hold_lock(backend *self)
{
    if (!self->embedded.holds_lock)
        EVBASE_ACQUIRE_LOCK(self->base, th_base_lock);
    self->embedded.holds_lock = true;
}

void embedding_let_go_of_lock(backend *self)
{
    if (!self->embedded.holds_lock)
        return;
    self->embedded.holds_lock = false;
    EVBASE_RELEASE_LOCK(self->base, th_base_lock);
}

// libevent's loop ends for what dispatch returns then.
int embedding_leave(backend *self, embedding_stage stage, int64_t wait_us)
{
    self->embedded.stage = stage;
    self->embedded.wait_us = wait_us;
    self->loop.is_in_turn = false; // the program has its own turn now
    if (stage == embedding_stage::sleeps && self->port->watcher != nullptr)
        port_watcher_watch(self->port);
    if (self->embedded.lock == embedding_lock::nests)
        embedding_hold_lock(self);
    return -1;
}

// What waits for another try is queued in any case, and the wait is short for it.
bool embedding_has_queued(const backend *self)
{
    const loop *queues = &self->loop;
    if (queues->retry_soon)
        return false;
    return !TAILQ_EMPTY(&queues->changed) || !TAILQ_EMPTY(&queues->starting) || !TAILQ_EMPTY(&queues->receiving) ||
           !TAILQ_EMPTY(&queues->polling) || !TAILQ_EMPTY(&queues->hinted);
}

// The lock was free between the loop's end and the mark, when nobody would have woken the base: what other threads have
// asked of it meanwhile shortens the wait.
void embedding_look_for_changes(backend *self, int flags)
{
    struct event_base *base = self->base;
    embedding *state = &self->embedded;
    bool is_empty = base->event_count == 0 && base->virtual_event_count == 0;
    bool ends = base->event_break || (is_empty && (flags & EVLOOP_NO_EXIT_ON_EMPTY) == 0);
    if (N_ACTIVE_CALLBACKS(base) != 0 || ends || embedding_has_queued(self) || signals_taken(self))
        state->wait_us = 0;
    const struct event *first = min_heap_top_(&base->timeheap);
    if (first == nullptr)
        return;
    struct timeval now, left = {0, 0};
    evutil_gettime_monotonic_(&base->monotonic_timer, &now);
    if (evutil_timercmp(&first->ev_timeout, &now, >))
        evutil_timersub(&first->ev_timeout, &now, &left);
    int64_t left_us = static_cast<int64_t>(left.tv_sec) * 1000000 + left.tv_usec;
    if (state->wait_us < 0 || left_us < state->wait_us)
        state->wait_us = left_us;
}

// As Windows' waits take it, and never early.
unsigned long embedding_wait_ms(int64_t wait_us)
{
    constexpr int64_t longest = INFINITE - 1;
    int64_t ms = wait_us / 1000 + (wait_us % 1000 != 0);
    if (wait_us < 0)
        return INFINITE;
    return static_cast<unsigned long>(ms < longest ? ms : longest);
}

// Whether this thread may go on with the run, or begin one: 0, or an error.
int embedding_may_run(const backend *self)
{
    const struct event_base *base = self->base;
    if (!embedding_is_left(&self->embedded))
        return base->running_loop || self->embedded.stage != embedding_stage::none ? WSAEINPROGRESS : 0;
    bool is_ours = EVBASE_IN_THREAD(base) && self->loop.thread == GetCurrentThreadId();
    return is_ours ? 0 : WSAEINPROGRESS;
}

// Lock held once, and when it returns. What event_base_loop returns.
int embedding_enter_loop(backend *self, int flags)
{
    embedding *state = &self->embedded;
    state->slept = state->stage == embedding_stage::sleeps;
    state->stage = embedding_stage::runs;
    state->turns_left = EVENT_IOCP_MAX_TURNS_A_RUN;
    self->base->running_loop = 0;
    if (state->lock == embedding_lock::unknown)
        state->lock = embedding_lock_nests(self->base) ? embedding_lock::nests : embedding_lock::single;
    // A break that is asked for before libevent has begun would be forgotten by that.
    state->holds_lock = true;
    if (state->lock == embedding_lock::single || IOCP_LOOP_CALLS_FIRST(self->base))
        embedding_let_go_of_lock(self);
    int result = event_base_loop(self->base, flags);
    embedding_hold_lock(self);
    state->holds_lock = false;
    if (state->lock == embedding_lock::single && embedding_is_left(state))
        embedding_look_for_changes(self, flags);
    return result;
}

// 1, 0 or -1, as event_base_iocp_run.
int embedding_run(backend *self, int flags)
{
    if (embedding_is_left(&self->embedded) && self->base->event_break) {
        embedding_end(self);
        return 0;
    }
    int result = embedding_enter_loop(self, flags);
    if (embedding_is_left(&self->embedded)) {
        self->base->running_loop = 1;
        return 1;
    }
    embedding_end(self);
    return result < 0 ? -1 : 0;
}

int embedding_fail(int error)
{
    WSASetLastError(error);
    return -1;
}

void *embedding_give_nothing(int error)
{
    WSASetLastError(error);
    return nullptr;
}

// Of the two getters the first that is called decides for the base.
void *embedding_give_event(backend *self)
{
    if (self->port->watcher == nullptr && port_watcher_start(self->port) != 0)
        return embedding_give_nothing(WSAENOBUFS);
    self->embedded.handle = port_watcher_event(self->port);
    return self->embedded.handle;
}

} // namespace

int embedding_take_turn(backend *self, const struct timeval *tv)
{
    embedding *state = &self->embedded;
    embedding_let_go_of_lock(self);
    if (state->slept) {
        state->slept = false;
        return loop_wake(self);
    }
    if (state->turns_left == 0)
        return embedding_leave(self, embedding_stage::yields, 0);
    --state->turns_left;
    turn_rest rest = loop_begin_turn(self, tv);
    if (rest.is_over || rest.wait_us == 0)
        return loop_end_turn(self, rest);
    return embedding_leave(self, embedding_stage::sleeps, rest.wait_us);
}

void embedding_end(backend *self)
{
    embedding *state = &self->embedded;
    if (state->stage == embedding_stage::none)
        return;
    if (embedding_is_left(state))
        self->base->running_loop = 0;
    // It may not be asked again for long: what it was given meanwhile is for others, too.
    if (rounds_wake(self))
        rounds_pass_on(self);
    state->stage = embedding_stage::none;
    state->slept = false;
}

} // namespace iocp

using namespace iocp;

extern "C" {

void *event_base_iocp_get_handle(struct event_base *base)
{
    backend *self = base != nullptr ? backend_of(base) : nullptr;
    if (self == nullptr)
        return embedding_give_nothing(WSAEOPNOTSUPP);
    // With no lock held: the trial may take its time.
    bool waits_for_port = !environment_asks(base, "EVENT_IOCP_NO_PORT_WAIT") && embedding_ports_can_be_waited_for();
    base_locked held(base);
    if (self->embedded.handle == nullptr && waits_for_port)
        self->embedded.handle = self->port->for_libevent.port;
    return self->embedded.handle != nullptr ? self->embedded.handle : embedding_give_event(self);
}

void *event_base_iocp_get_event(struct event_base *base)
{
    backend *self = base != nullptr ? backend_of(base) : nullptr;
    if (self == nullptr)
        return embedding_give_nothing(WSAEOPNOTSUPP);
    base_locked held(base);
    bool gave_port = self->embedded.handle == self->port->for_libevent.port;
    return gave_port ? embedding_give_nothing(WSAEALREADY) : embedding_give_event(self);
}

int event_base_iocp_run(struct event_base *base, int flags, unsigned long *wait_ms)
{
    backend *self = base != nullptr ? backend_of(base) : nullptr;
    if (self == nullptr)
        return embedding_fail(WSAEOPNOTSUPP);
    if (wait_ms == nullptr || (flags & ~EVLOOP_NO_EXIT_ON_EMPTY) != 0)
        return embedding_fail(WSAEINVAL);
    base_locked held(base);
    int error = embedding_may_run(self);
    if (error != 0)
        return embedding_fail(error);
    int result = embedding_run(self, flags);
    if (result == 1)
        *wait_ms = embedding_wait_ms(self->embedded.wait_us);
    return result;
}

int event_base_iocp_end_run(struct event_base *base)
{
    backend *self = base != nullptr ? backend_of(base) : nullptr;
    if (self == nullptr)
        return embedding_fail(WSAEOPNOTSUPP);
    base_locked held(base);
    if (self->embedded.stage == embedding_stage::runs || (base->running_loop && !embedding_is_left(&self->embedded)))
        return embedding_fail(WSAEINPROGRESS);
    embedding_end(self);
    return 0;
}
}
