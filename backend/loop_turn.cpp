#include "backend/loop_turn.h"
#include "backend/port_watcher.h"
#include "backend/signals.h"
#include "backend/submit.h"

namespace iocp {

namespace {

// Batches dequeued in one turn, before callbacks and timers get theirs.
constexpr int max_batches = 8;

// The longest sleep while a start waits for the kernel to have memory again.
constexpr int64_t retry_wait_us = 10 * 1000;

int64_t turn_wait_us(const backend *self, const struct timeval *tv, bool any_ready)
{
    if (any_ready)
        return 0;
    int64_t wait = -1;
    if (tv != nullptr) {
        constexpr int64_t max_seconds = INT32_MAX;
        int64_t seconds = tv->tv_sec < max_seconds ? static_cast<int64_t>(tv->tv_sec) : max_seconds;
        wait = seconds * 1000000 + tv->tv_usec;
    }
    if (self->loop.retry_soon && (wait < 0 || wait > retry_wait_us))
        wait = retry_wait_us;
    return wait;
}

// The base's lock is free only during the wait. 0, or an error. `full`: there may be more.
int turn_dequeue(backend *self, OVERLAPPED_ENTRY *entries, int64_t timeout_us, ULONG *count, bool *full)
{
    port *from = self->port;
    int error = from->watcher != nullptr ? port_watcher_take(from, entries, count) : 0;
    *full = *count != 0;
    if (error != 0 || *count != 0)
        return error;
    ULONG wanted = port_packets_wanted(from, self->base->nactivequeues > 1 || timeout_us == 0);
    {
        base_unlocked others(self->base);
        error =
            sys::port_dequeue(from->for_libevent.port, entries, wanted, timeout_us, sys::wait_kind::alertable, count);
    }
    if (error == 0)
        port_packets_came(from, wanted, *count);
    *full = *count == wanted;
    return error;
}

// Timers that have come due since the loop asked for its next one run after this turn. On select, what was ready before
// them comes first: so a turn of that kind leaves nothing out.
bool turn_timers_are_due(backend *self)
{
    const struct event *first = min_heap_top_(&self->base->timeheap);
    struct timeval now;
    if (first == nullptr)
        return false;
    evutil_gettime_monotonic_(&self->base->monotonic_timer, &now);
    return evutil_timercmp(&first->ev_timeout, &now, <=);
}

// After a full batch: a small one leaves the rest to the next turn, unless timers would come between.
bool turn_goes_on_collecting(backend *self, ULONG count, bool full)
{
    return count == max_packets || (full && port_owes(self->port) && turn_timers_are_due(self));
}

// Takes batches from the port until one is not full, or was small. `sleeps`: the loop has been, or is, asleep until the
// first comes.
int turn_collect(backend *self, int64_t timeout_us, bool sleeps)
{
    struct event_base *base = self->base;
    for (int batch = 0; batch < max_batches; ++batch) {
        OVERLAPPED_ENTRY entries[max_packets];
        ULONG count = 0;
        bool full = false;
        int error = turn_dequeue(self, entries, timeout_us, &count, &full);
        bool was_called = sleeps && rounds_wake(self);
        sleeps = false;
        if (error != 0) {
            event_warnx("iocp: the completion port failed (error %d)", error);
            WSASetLastError(error);
            return -1;
        }
        self->loop.packets += count;
        port_deliver(self->port, entries, count);
        signals_activate(self);
        if (was_called && base->nactivequeues > 1)
            rounds_pass_on(self); // whatever came may be more urgent
        if (!turn_goes_on_collecting(self, count, full))
            break;
        timeout_us = 0;
    }
    return 0;
}

// Looks at the port, or waits there. 0, or -1.
int turn_look(backend *self, int64_t timeout_us, bool sleeps)
{
    uint64_t packets = self->loop.packets;
    // The clock is asked as seldom as will do: no look is timed that waits, or brings something.
    int64_t before = timeout_us == 0 ? sys::now_ns() : 0;
    ++(timeout_us == 0 ? self->loop.looks : self->loop.waits);
    int result = turn_collect(self, timeout_us, sleeps);
    submit_hinted(self);
    bool in_vain = timeout_us == 0 && self->loop.packets == packets;
    look_pace_looked(&self->loop.look, in_vain, before, in_vain || timeout_us != 0 ? sys::now_ns() : before);
    return result;
}

// What a turn goes by, and what it has come to so far.
struct turn_state {
    bool goes_on;        // the loop has callbacks to run, whatever the port brings
    bool only_looks;     // the program asks what is ready now (EVLOOP_NONBLOCK)
    bool at_once;        // all that is ready is wanted now: priorities rank it, or the loop would not wait
    bool any_ready;      // there is something to do
    bool sent_much;      // the last turn's sends took long
    bool look_is_due;    // the port is to be looked at all the same
    bool look_was_asked; // whether that is so
    bool receives_first; // nobody waits to send, or who does is ahead of the others
};

turn_state turn_make_plan(const backend *self, const struct timeval *tv)
{
    bool must_not_wait = tv != nullptr && !evutil_timerisset(tv);
    turn_state turn = {};
    turn.goes_on = N_ACTIVE_CALLBACKS(self->base) != 0; // a signal's, if libevent would wait
    turn.only_looks = must_not_wait && !turn.goes_on;
    turn.at_once = self->base->nactivequeues > 1 || must_not_wait;
    return turn;
}

// Is it time for a look at the port, though there is something to do without it? Wake-ups and signals are known of
// without a call. Of sockets only a look tells: at once if priorities are to rank what comes, and now and then
// otherwise. Asked where something hangs on it, since that takes the clock, and answered once a turn.
bool turn_look_is_due(backend *self, turn_state *turn)
{
    if (turn->look_was_asked)
        return turn->look_is_due;
    bool is_known = self->port->posted != 0 || signals_waiting(self);
    turn->look_was_asked = true;
    turn->look_is_due = is_known || self->base->nactivequeues > 1 || look_pace_is_due(&self->loop.look, sys::now_ns());
    return turn->look_is_due;
}

// Has anything come that should be dealt with before receives are started, or before somebody sends again?
bool turn_look_first(backend *self, int *result)
{
    bool any_to_start = !TAILQ_EMPTY(&self->loop.receiving) || !TAILQ_EMPTY(&self->loop.polling);
    if ((!any_to_start && !self->loop.round.sender_is_ahead) || self->port->in_flight.count == 0 ||
        !first_look_is_due(&self->loop.before_receives))
        return false;
    uint64_t before = self->loop.packets;
    *result = turn_look(self, 0, false);
    bool came = self->loop.packets != before;
    first_look_taken(&self->loop.before_receives, came);
    return came || *result != 0;
}

void turn_begin(backend *self)
{
    ++self->loop.turn;
    self->loop.is_in_turn = true;
    self->loop.thread = GetCurrentThreadId();
    if (!TAILQ_EMPTY(&self->loop.to_free))
        sources_free(self);
    self->loop.retry_soon = false;
    signals_claim(self);
    signals_activate(self);
}

void turn_hand_on_ready(backend *self, turn_state *turn)
{
    turn->any_ready = submit_ready(self) || turn->goes_on;
    turn->any_ready = turn->any_ready || self->loop.has_more;
    self->loop.has_more = false;
    turn->sent_much = self->loop.sent_much;
    self->loop.sent_much = false;
    turn->look_is_due = turn->look_was_asked = turn->any_ready && turn->sent_much;
    turn->receives_first = !turn->any_ready || self->loop.round.sender_is_ahead;
}

// True: the turn ends with what has come, or with an error.
bool turn_ends_with_first_look(backend *self, turn_state *turn, int *result)
{
    bool came = turn->receives_first && !turn->at_once && turn_look_first(self, result);
    turn->at_once = turn->at_once || turn->sent_much || turn_timers_are_due(self);
    turn->any_ready = turn->any_ready || came;
    return *result != 0 || (came && !turn->at_once);
}

void turn_start_receives(backend *self, turn_state *turn)
{
    // What waits while others are ready all the time is not held back for ever.
    bool held_back = send_round_holds_back(&self->loop.round) && turn->any_ready && turn_look_is_due(self, turn);
    if (!turn->receives_first && !turn->at_once && !held_back)
        return;
    receive_scope which = turn->any_ready ? receive_scope::before_sends : receive_scope::at_pace;
    if (turn->at_once)
        which = receive_scope::at_once;
    else if (held_back)
        which = receive_scope::held_back;
    bool found = submit_receives(self, which);
    turn->any_ready = turn->any_ready || found;
}

bool turn_has_anything_to_see(const backend *self)
{
    return port_owes(self->port) || signals_waiting(self);
}

bool turn_passes_port_by(backend *self, turn_state *turn)
{
    return turn->any_ready && !turn->only_looks && (!turn_has_anything_to_see(self) || !turn_look_is_due(self, turn));
}

// How long to wait at the port, of which the other bases are told.
int64_t turn_prepare_wait(backend *self, const struct timeval *tv, bool any_ready)
{
    int64_t wait_us = turn_wait_us(self, tv, any_ready);
    if (wait_us == 0)
        rounds_look(self);
    else if (!rounds_sleep(self))
        wait_us = 0;
    return wait_us;
}

} // namespace

// One turn of the loop: hands on what is ready without a call, and sends; starts receives and polls, if nothing is to
// be sent first; looks at the port, or waits there if all that has brought nothing.
int loop_take_turn(backend *self, const struct timeval *tv)
{
    return loop_end_turn(self, loop_begin_turn(self, tv));
}

turn_rest loop_begin_turn(backend *self, const struct timeval *tv)
{
    turn_begin(self);
    turn_state turn = turn_make_plan(self, tv);
    turn_hand_on_ready(self, &turn);
    int result = 0;
    if (turn_ends_with_first_look(self, &turn, &result))
        return {true, result, 0};
    turn_start_receives(self, &turn);
    if (turn_passes_port_by(self, &turn))
        return {true, 0, 0};
    return {false, 0, turn_prepare_wait(self, tv, turn.any_ready)};
}

int loop_end_turn(backend *self, const turn_rest &rest)
{
    int result = rest.is_over ? rest.result : turn_look(self, rest.wait_us, rest.wait_us != 0);
    self->loop.is_in_turn = false;
    return result;
}

int loop_wake(backend *self)
{
    return turn_look(self, 0, true);
}

} // namespace iocp
