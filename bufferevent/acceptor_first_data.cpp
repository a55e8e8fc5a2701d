#include "bufferevent/acceptor_first_data.h"
#include "backend/afd_device.h"
#include "backend/socket_record.h"

namespace iocp {

// One AFD poll of the listening socket. It exists only while in flight, so that no device is held by an idle one.
struct backlog_watch {
    completion operation; // first
    acceptor *owner;      // not looked at once disowned
    afd_device *device;
    sys::afd_poll_info info; // the kernel's
};

// Made when first asked for: most listeners never are.
struct first_data {
    struct event timer;
    backlog_watch *watch; // NULL: none in flight
    int64_t patience_us;
    unsigned bytes; // 0: off
    unsigned silent;
    unsigned leaving;
    bool blind;   // the socket cannot be watched: silent peers would starve it
    bool closing; // the timer is not to be started again
};

namespace {

// Looks at the peers in a patience's time.
constexpr int64_t looks_per_patience = 4;

// Accepts freed at a time when all that there may be are taken by silent peers.
constexpr unsigned dropped_at_bound = min_accepts;

bool first_data_is_on(const acceptor *self)
{
    return self->first != nullptr && self->first->bytes != 0 && !self->first->blind;
}

unsigned first_data_open_accepts(const acceptor *self)
{
    return self->pending_count - first_data_engaged(self);
}

// Its packet, an error, is yet to come. Closing the socket is what Microsoft says ends such an accept; the cancel is
// for providers where it does not.
void first_data_drop(acceptor *self, accept_operation *accepting)
{
    EVUTIL_ASSERT(accepting->stage == accept_stage::silent);
    --self->first->silent;
    ++self->first->leaving;
    accepting->stage = accept_stage::leaving;
    sys::close_socket(accepting->socket);
    accepting->socket = INVALID_SOCKET;
    completion_cancel(&accepting->operation);
}

// An accept asked for under another rule. If a connection has come meanwhile, its packet says so, and it is kept.
void first_data_call_back(acceptor *self, accept_operation *accepting)
{
    ++self->first->leaving;
    accepting->stage = accept_stage::leaving;
    completion_cancel(&accepting->operation);
}

// Finds out which accepts have a peer. It may stop at one that has none: then connects are being taken.
unsigned first_data_find_silent(acceptor *self, bool until_open)
{
    unsigned found = 0;
    int64_t now = backend_now_us(acceptor_owner(self));
    accept_operation *accepting;
    TAILQ_FOREACH (accepting, &self->pending, listed) {
        uint32_t seconds = 0;
        if (accepting->room == 0 || accepting->stage != accept_stage::open)
            continue;
        if (!sys::connected_for(accepting->socket, &seconds)) {
            if (until_open)
                break;
            continue;
        }
        accepting->stage = accept_stage::silent;
        accepting->connected_us = now - static_cast<int64_t>(seconds) * 1000000;
        ++self->first->silent;
        ++found;
    }
    self->done_in_turn += found; // connects all the same: the depth follows them
    return found;
}

void first_data_drop_longest_silent(acceptor *self)
{
    for (unsigned dropped = 0; dropped < dropped_at_bound; ++dropped) {
        accept_operation *longest = nullptr;
        // The list is newest first: of several that connected at one time, the last is the oldest.
        accept_operation *each;
        TAILQ_FOREACH (each, &self->pending, listed)
            if (each->stage == accept_stage::silent &&
                (longest == nullptr || each->connected_us <= longest->connected_us))
                longest = each;
        if (longest == nullptr)
            return;
        first_data_drop(self, longest);
    }
}

// Accepts of another kind than are started now make way for those.
void first_data_call_back_others(acceptor *self)
{
    accept_operation *each;
    TAILQ_FOREACH (each, &self->pending, listed)
        if (each->stage == accept_stage::open && each->room != first_data_room(self))
            first_data_call_back(self, each);
}

void first_data_free_watch(backlog_watch *watch)
{
    afd_device_release(watch->device);
    mm_free(watch);
}

void first_data_watch_freed(completion *operation, int, DWORD)
{
    first_data_free_watch(reinterpret_cast<backlog_watch *>(operation));
}

void first_data_go_blind(acceptor *self)
{
    event_warnx("iocp: a listening socket cannot be watched; its connections come without their first data");
    self->first->blind = true;
    first_data_find_silent(self, false);
    first_data_call_back_others(self);
}

// Connects wait, or did when the poll ended: an accept in flight may have taken them.
void first_data_connects_wait(acceptor *self)
{
    if (self->as_source.wanted == 0)
        return;
    first_data_find_silent(self, true);
    if (first_data_open_accepts(self) == 0 && self->pending_count >= max_accepts_in_flight && self->first->leaving == 0)
        first_data_drop_longest_silent(self);
}

void first_data_take_outcome(acceptor *self, const sys::afd_poll_info &info)
{
    ULONG events = info.count > 0 ? info.events : 0;
    if ((events & sys::afd_local_close) != 0)
        self->first->blind = true; // closed by the program, and its accepts with it
    else if (events != 0)
        first_data_connects_wait(self);
}

void first_data_watch_ended(completion *operation, int error, DWORD)
{
    auto *watch = reinterpret_cast<backlog_watch *>(operation);
    acceptor *self = watch->owner;
    self->first->watch = nullptr;
    if (error == 0 && !acceptor_owner(self)->draining)
        first_data_take_outcome(self, watch->info);
    first_data_free_watch(watch);
    source_ready(&self->as_source, 0); // the next submit fills up and watches again
}

void first_data_watch_cancel(completion *operation)
{
    sys::cancel(reinterpret_cast<backlog_watch *>(operation)->device->handle, &operation->overlapped);
}

const completion_ops watch_ops = {operation_kind::poll, first_data_watch_ended, first_data_watch_freed,
                                  first_data_watch_cancel};

int first_data_new_watch(acceptor *self, backlog_watch **created)
{
    auto *watch = static_cast<backlog_watch *>(mm_calloc(1, sizeof(backlog_watch)));
    if (watch == nullptr)
        return WSAENOBUFS;
    backend *owner = acceptor_owner(self);
    int error = afd_device_acquire(&owner->devices, owner->port, &watch->device);
    if (error != 0) {
        mm_free(watch);
        return error;
    }
    completion_init(&watch->operation, &watch_ops);
    watch->owner = self;
    watch->info.timeout.QuadPart = INT64_MAX;
    watch->info.count = 1;
    watch->info.socket = reinterpret_cast<HANDLE>(acceptor_descriptor(self));
    watch->info.events = sys::afd_accept | sys::afd_abort | sys::afd_local_close;
    *created = watch;
    return 0;
}

// True if the poll has ended at once.
bool first_data_start_watch(acceptor *self)
{
    backlog_watch *watch = nullptr;
    int error = first_data_new_watch(self, &watch);
    sys::start_result result = {sys::started::failed, error, 0};
    if (error == 0) {
        port *on = acceptor_owner(self)->port;
        HANDLE device = watch->device->handle;
        OVERLAPPED *overlapped = completion_begin(&watch->operation, acceptor_descriptor(self));
        result = completion_settle_start(on, &watch->operation, sys::afd_poll(device, &watch->info, overlapped));
    }
    if (result.how == sys::started::pending) {
        self->first->watch = watch;
        return false;
    }
    if (result.how == sys::started::done)
        first_data_take_outcome(self, watch->info);
    else if (!sys::is_shortage(result.error))
        first_data_go_blind(self);
    if (watch != nullptr)
        first_data_free_watch(watch);
    acceptor_owner(self)->loop.retry_soon = true;
    source_queue(&self->as_source);
    return result.how == sys::started::done;
}

// A poll now would tell something: connects wait although accepts are open, or at the bound. In between, the next
// packet of an accept, or the end of a shortage, makes for a better time.
bool first_data_watch_is_due(const acceptor *self)
{
    const first_data *first = self->first;
    if (first->watch != nullptr || first->blind || (first->bytes == 0 && first->silent == 0))
        return false;
    return first_data_open_accepts(self) > 0 ||
           (self->pending_count >= max_accepts_in_flight && self->first->leaving == 0);
}

bool first_data_is_timed(const acceptor *self)
{
    return (self->first->timer.ev_flags & EVLIST_TIMEOUT) != 0;
}

void first_data_start_timer(acceptor *self)
{
    if (first_data_is_timed(self) || self->first->closing)
        return;
    int64_t interval_us = self->first->patience_us / looks_per_patience;
    struct timeval interval;
    interval.tv_sec = static_cast<long>(interval_us / 1000000);
    interval.tv_usec = static_cast<long>(interval_us % 1000000);
    event_add_nolock_(&self->first->timer, &interval, 0);
}

bool first_data_has_accepts(const acceptor *self)
{
    const accept_operation *each;
    TAILQ_FOREACH (each, &self->pending, listed)
        if (each->room != 0)
            return true;
    return false;
}

void first_data_look_at_peers(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<acceptor *>(argument);
    struct event_base *base = acceptor_owner(self)->base;
    base_locked held(base);
    bool changed = first_data_find_silent(self, false) != 0;
    int64_t now = backend_now_us(acceptor_owner(self));
    accept_operation *each;
    TAILQ_FOREACH (each, &self->pending, listed) {
        if (each->stage != accept_stage::silent || now - each->connected_us < self->first->patience_us)
            continue;
        first_data_drop(self, each);
        changed = true;
    }
    if (changed)
        source_ready(&self->as_source, 0);
    if (first_data_has_accepts(self))
        first_data_start_timer(self);
}

int first_data_make(acceptor *self)
{
    self->first = static_cast<first_data *>(mm_calloc(1, sizeof(first_data)));
    if (self->first == nullptr)
        return WSAENOBUFS;
    evtimer_assign(&self->first->timer, acceptor_owner(self)->base, first_data_look_at_peers, self);
    self->first->timer.ev_flags |= EVLIST_INTERNAL; // keeps no loop alive
    event_priority_set(&self->first->timer, 0);
    return 0;
}

} // namespace

unsigned first_data_room(const acceptor *self)
{
    return first_data_is_on(self) ? self->first->bytes : 0;
}

unsigned first_data_engaged(const acceptor *self)
{
    return self->first != nullptr ? self->first->silent + self->first->leaving : 0;
}

int first_data_set(acceptor *self, unsigned bytes, int64_t patience_us)
{
    if (self->first == nullptr) {
        int error = bytes != 0 ? first_data_make(self) : 0;
        if (error != 0 || bytes == 0)
            return error;
    }
    self->first->bytes = bytes;
    if (bytes != 0)
        self->first->patience_us = patience_us;
    first_data_find_silent(self, false);
    first_data_call_back_others(self);
    if (first_data_is_timed(self)) {
        event_del_nolock_(&self->first->timer, EVENT_DEL_NOBLOCK);
        first_data_start_timer(self);
    }
    source_ready(&self->as_source, 0);
    return 0;
}

bool first_data_filled(acceptor *self)
{
    if (self->first == nullptr || self->plain)
        return false;
    if (first_data_is_on(self) && self->pending_count > 0)
        first_data_start_timer(self);
    return first_data_watch_is_due(self) && first_data_start_watch(self);
}

void first_data_stop_watching(acceptor *self)
{
    if (self->first == nullptr || self->first->watch == nullptr)
        return;
    completion_disown(&self->first->watch->operation);
    self->first->watch = nullptr;
}

void first_data_unlisted(acceptor *self, const accept_operation *accepting)
{
    if (self->first == nullptr)
        return;
    if (accepting->stage == accept_stage::silent)
        --self->first->silent;
    else if (accepting->stage == accept_stage::leaving)
        --self->first->leaving;
}

bool first_data_keep(acceptor *self, const accept_operation *taken)
{
    if (taken->length == 0)
        return true;
    backend *owner = acceptor_owner(self);
    auto fd = static_cast<evutil_socket_t>(taken->socket);
    received_bytes *early = received_new(taken->length);
    if (early == nullptr)
        return false;
    memcpy(early->bytes, taken->buffer, taken->length);
    early->end = taken->length;
    if (socket_bind(owner, fd) && socket_keep_early(owner, fd, early, false))
        return true;
    received_free(early);
    return false;
}

void first_data_free(acceptor *self)
{
    if (self->first == nullptr)
        return;
    self->first->closing = true;
    first_data_stop_watching(self);    // before the lock is let go of
    if (self->as_source.of != nullptr) // else the base has gone, and its timers
        event_del_nolock_(&self->first->timer, EVENT_DEL_BLOCK);
    event_debug_unassign(&self->first->timer);
    mm_free(self->first);
    self->first = nullptr;
}

} // namespace iocp
