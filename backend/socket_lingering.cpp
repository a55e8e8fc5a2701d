#include "backend/socket_lingering.h"
#include "backend/backend.h"
#include "backend/transport.h"

#include <limits.h>

namespace iocp {

namespace {

// Of a clock that begins anew every seven weeks: for differences.
uint32_t linger_now_ms(backend *owner)
{
    return static_cast<uint32_t>(backend_now_us(owner) / 1000);
}

uint32_t linger_limit_ms(const lingering_state *state)
{
    return state->limit_ms != 0 ? state->limit_ms : uint32_t{EVENT_IOCP_DEFAULT_LINGER_MS};
}

lingering_on *linger_oldest(const lingering_state *state)
{
    return TAILQ_FIRST(&state->closed);
}

// Something of this life of the socket is still to be sent, and nobody waits for it. Drivers of files may take their time to
// let go of what was cancelled.
bool linger_waits(const socket_record *record)
{
    return !LIST_EMPTY(&record->left_sends) ||
           (record->transport != sys::transport::socket && record->left_cancelled != 0);
}

void linger_list_closed(socket_record *record)
{
    lingering_state *state = &record->owner->lingering;
    uint32_t now_ms = linger_now_ms(record->owner);
    lingering_on *each;
    LIST_FOREACH (each, &record->left_sends, listed) {
        each->is_closed = true;
        each->closed_ms = now_ms;
        TAILQ_INSERT_TAIL(&state->closed, each, listed_closed);
        state->bytes += each->bytes;
    }
}

void linger_unlist_closed(lingering_on *self)
{
    if (!self->is_closed)
        return;
    lingering_state *state = &self->record->owner->lingering;
    self->is_closed = false;
    TAILQ_REMOVE(&state->closed, self, listed_closed);
    state->bytes -= self->bytes;
}

void linger_unlist_all(socket_record *record)
{
    lingering_on *each;
    LIST_FOREACH (each, &record->left_sends, listed)
        linger_unlist_closed(each);
}

// Its peer takes too little, for too long. Bytes are lost, and a reset tells the peer so.
void linger_reset(socket_record *record)
{
    linger_unlist_all(record);
    record->resets = true;
    lingering_on *each;
    LIST_FOREACH (each, &record->left_sends, listed)
        completion_cancel(each->operation);
}

uint32_t linger_least(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

// The first of the socket that was closed after this one's. (All of one are listed together.)
lingering_on *linger_next_socket(const lingering_on *self)
{
    lingering_on *next = TAILQ_NEXT(self, listed_closed);
    while (next != nullptr && next->record == self->record)
        next = TAILQ_NEXT(next, listed_closed);
    return next;
}

// Resets those whose time is up. Returns when to look again: no later than whoever is closed next may linger.
uint32_t linger_reset_overdue(backend *owner)
{
    lingering_state *state = &owner->lingering;
    uint32_t now_ms = linger_now_ms(owner), limit_ms = linger_limit_ms(state), soonest_ms = limit_ms;
    lingering_on *next;
    for (lingering_on *each = linger_oldest(state); each != nullptr; each = next) {
        next = linger_next_socket(each);
        uint32_t waited_ms = now_ms - each->closed_ms;
        if (waited_ms < limit_ms)
            return linger_least(soonest_ms, limit_ms - waited_ms); // and all that follow were closed later
        uint32_t own_limit_ms = limit_ms * (1U + each->record->longer);
        if (waited_ms < own_limit_ms)
            soonest_ms = linger_least(soonest_ms, own_limit_ms - waited_ms);
        else
            linger_reset(each->record);
    }
    return soonest_ms;
}

void linger_enforce_limits(backend *owner);

void linger_look(evutil_socket_t, short, void *argument)
{
    auto *owner = static_cast<backend *>(argument);
    base_locked held(owner->base);
    linger_enforce_limits(owner);
}

void linger_start_timer(backend *owner, uint32_t wait_ms)
{
    lingering_state *state = &owner->lingering;
    if (TAILQ_EMPTY(&state->closed) || owner->draining)
        return;
    if (!state->is_assigned) {
        evtimer_assign(&state->timer, owner->base, linger_look, owner);
        state->timer.ev_flags |= EVLIST_INTERNAL; // keeps no loop alive
        state->is_assigned = true;
    }
    uint32_t least_ms = linger_limit_ms(state) / linger_looks;
    wait_ms = wait_ms > least_ms ? wait_ms : least_ms;
    struct timeval wait;
    wait.tv_sec = static_cast<long>(wait_ms / 1000);
    wait.tv_usec = static_cast<long>(wait_ms % 1000 * 1000);
    event_add_nolock_(&state->timer, &wait, 0);
}

void linger_enforce_limits(backend *owner)
{
    lingering_state *state = &owner->lingering;
    while (!TAILQ_EMPTY(&state->closed) && state->bytes > linger_limit_bytes(state))
        linger_reset(linger_oldest(state)->record);
    if ((state->timer.ev_flags & EVLIST_TIMEOUT) == 0) // else it comes soon enough
        linger_start_timer(owner, linger_reset_overdue(owner));
}

// By SO_LINGER, as one ends a peer that takes nothing.
bool linger_is_unwanted(const socket_record *record)
{
    return record->transport == sys::transport::socket && sys::is_reset_when_closed(static_cast<SOCKET>(record->fd));
}

// A file has no reset: its peer has a part.
void linger_close_by_reset(const socket_record *record)
{
    if (record->resets && record->transport == sys::transport::socket)
        sys::reset_when_closed(static_cast<SOCKET>(record->fd));
}

void linger_close_now(socket_record *record)
{
    sys::transport by = record->transport;
    linger_close_by_reset(record);
    socket_begin_life(record);
    transport_close_for_good(by, record->fd);
}

// One less is in flight.
void linger_go_on(socket_record *record)
{
    if (linger_waits(record))
        return;
    if (record->close_asked) {
        linger_close_now(record);
        return;
    }
    if (record->shuts_down && !record->resets)
        sys::end_sending(static_cast<SOCKET>(record->fd));
    record->shuts_down = false;
    record->longer = 0;
    socket_unregister_unused(record);
}

} // namespace

size_t linger_limit_bytes(const lingering_state *state)
{
    return state->limit_ms != 0 ? state->limit_bytes : EVENT_IOCP_DEFAULT_LINGER_BYTES;
}

void linger_init(lingering_state *self)
{
    TAILQ_INIT(&self->closed);
}

void linger_note_life(lingering_on *self, socket_record *record)
{
    self->record = record;
    self->life = record->life;
}

void linger_begin(lingering_on *self, socket_record *record, completion *operation, size_t bytes)
{
    backend *owner = record->owner;
    self->record = record;
    self->operation = operation;
    EVUTIL_ASSERT(bytes <= UINT32_MAX);
    self->bytes = static_cast<uint32_t>(bytes);
    self->is_closed = false;
    owner->lingering.bytes_on_the_way += bytes;
    if (self->life != record->life)
        return;
    LIST_INSERT_HEAD(&record->left_sends, self, listed);
    socket_register(record);
}

void linger_longer(socket_record *record, size_t times)
{
    size_t longer = record->longer + times;
    record->longer = static_cast<unsigned char>(longer < UCHAR_MAX ? longer : UCHAR_MAX);
}

bool linger_goes_on(const lingering_on *self)
{
    const socket_record *record = self->record;
    return self->life == record->life && !record->resets && !record->owner->draining;
}

void linger_fail(lingering_on *self)
{
    if (self->life == self->record->life)
        self->record->resets = true;
}

void linger_end(lingering_on *self)
{
    socket_record *record = self->record;
    record->owner->lingering.bytes_on_the_way -= self->bytes;
    if (self->life != record->life)
        return; // closed by its program meanwhile
    linger_unlist_closed(self);
    LIST_REMOVE(self, listed);
    linger_go_on(record);
}

socket_life linger_begin_cancelled(socket_record *record)
{
    EVUTIL_ASSERT(record->left_cancelled < UINT16_MAX);
    ++record->left_cancelled;
    socket_register(record);
    return record->life;
}

void linger_end_cancelled(socket_record *record, socket_life life)
{
    if (life != record->life)
        return;
    --record->left_cancelled;
    linger_go_on(record);
}

bool linger_has_lost_bytes(socket_record *record)
{
    // Else it may be another one by now, whose number was closed past the library.
    if (record->resets && record->bound && record->transport == sys::transport::socket)
        socket_is_stale(record->owner, record->fd);
    return record->resets;
}

bool linger_close(socket_record *record)
{
    if (!linger_waits(record)) {
        if (linger_has_lost_bytes(record))
            linger_close_by_reset(record);
        socket_begin_life(record);
        return false;
    }
    if (record->close_asked)
        return true;
    record->close_asked = true;
    // To its program it is gone: a child process made from now on is not to hold it open.
    sys::set_inherited(static_cast<SOCKET>(record->fd), false);
    if (!LIST_EMPTY(&record->left_sends)) {
        linger_list_closed(record);
        if (linger_is_unwanted(record))
            linger_reset(record);
        linger_enforce_limits(record->owner);
    }
    return true;
}

bool linger_shutdown(socket_record *record)
{
    record->shuts_down = false;
    const lingering_on *each;
    LIST_FOREACH (each, &record->left_sends, listed)
        if (each->bytes > 0)
            record->shuts_down = true;
    return record->shuts_down;
}

void linger_forget(socket_record *record)
{
    linger_unlist_all(record);
    LIST_INIT(&record->left_sends);
    record->left_cancelled = 0;
    record->longer = 0;
    record->close_asked = record->shuts_down = record->resets = false;
}

bool linger_sends(const backend *owner)
{
    return owner->lingering.bytes_on_the_way > 0;
}

void linger_stop(backend *owner)
{
    lingering_state *state = &owner->lingering;
    while (!TAILQ_EMPTY(&state->closed))
        linger_reset(linger_oldest(state)->record);
    if (!state->is_assigned)
        return;
    event_del_nolock_(&state->timer, EVENT_DEL_NOBLOCK);
    event_debug_unassign(&state->timer);
    state->is_assigned = false;
}

} // namespace iocp

using namespace iocp;

int event_base_iocp_set_lingering(struct event_base *base, const struct timeval *limit, size_t bytes)
{
    constexpr int64_t ms = 1000;
    backend *owner = base != nullptr ? backend_of(base) : nullptr;
    int64_t span = limit != nullptr ? static_cast<int64_t>(limit->tv_sec) * 1000000 + limit->tv_usec : 0;
    int error = owner != nullptr ? 0 : WSAEOPNOTSUPP;
    if (span < EVENT_IOCP_MIN_LINGER_MS * ms || span > EVENT_IOCP_MAX_LINGER_MS * ms || limit->tv_usec < 0 ||
        limit->tv_usec >= 1000000)
        error = WSAEINVAL;
    if (error != 0) {
        WSASetLastError(error);
        return -1;
    }
    base_locked held(base);
    if (owner->lingering.is_assigned)
        event_del_nolock_(&owner->lingering.timer, EVENT_DEL_NOBLOCK);
    owner->lingering.limit_ms = static_cast<uint32_t>((span + ms - 1) / ms);
    owner->lingering.limit_bytes = bytes;
    linger_enforce_limits(owner);
    return 0;
}
