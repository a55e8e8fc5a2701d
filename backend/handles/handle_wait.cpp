// event2/iocp_wait.h: a handle that is waited for, as an event is.
//
// It is one of libevent's events, of no descriptor, so that timeouts, priorities, EV_PERSIST and deleting from another
// thread are libevent's own. A packet activates it, and Windows is asked to wait anew when its callback has returned.
#include "backend/handles/handle_wait.h"
#include "backend/backend.h"
#include "backend/handles/wait_operation.h"

#include "event2/iocp_wait.h"

using namespace iocp;

struct evwait {
    struct event event;        // inserted for as long as the wait is added
    struct event retry;        // Windows had no memory to wait anew
    TAILQ_ENTRY(evwait) next;  // of the base's
    struct event_base *base;   // NULL: freed
    wait_operation *operation; // NULL: none, or it was signalled too late, and has been left to its packet
    evwait_iocp_cb cb;
    void *arg;
    HANDLE given;
    HANDLE own;
    bool *freed;    // to be told so while the callback runs
    bool signalled; // and the callback has not been told
    bool refused;   // by Windows, likewise
};

namespace iocp {

namespace {

constexpr struct timeval wait_retry_interval = {0, 10 * 1000};

port *wait_port(const struct evwait *self)
{
    return backend_of(self->base)->port;
}

bool wait_is_added(const struct evwait *self)
{
    return (self->event.ev_flags & EVLIST_INSERTED) != 0;
}

bool wait_is_due(const struct evwait *self)
{
    return (self->event.ev_flags & (EVLIST_ACTIVE | EVLIST_ACTIVE_LATER)) != 0;
}

bool wait_runs_elsewhere(const struct evwait *self)
{
    return self->base->current_event == &self->event.ev_evcallback && !EVBASE_IN_THREAD(self->base);
}

bool wait_is_under_way(const struct evwait *self)
{
    return self->operation != nullptr && self->operation->operation.pending;
}

void wait_ended(completion *operation, int, DWORD)
{
    auto *ended = reinterpret_cast<wait_operation *>(operation);
    struct evwait *self = ended->owner;
    sys::wait_taken(&ended->wait);
    self->signalled = true;
    // Neither: it is being deleted, or another thread has taken the packet, and the callback of a timeout is about to run.
    if (wait_is_added(self) || wait_is_due(self))
        event_active_nolock_(&self->event, EV_READ, 1);
}

const completion_ops wait_ops = {operation_kind::wait, wait_ended, wait_operation_ended_alone, wait_operation_cancel};

int wait_begin(struct evwait *self)
{
    if (self->operation == nullptr)
        self->operation = wait_operation_new(self, &wait_ops);
    return self->operation != nullptr ? wait_operation_start(self->operation, wait_port(self), self->own) : WSAENOBUFS;
}

// True: it has been signalled all the same.
bool wait_end(struct evwait *self)
{
    if (!wait_is_under_way(self) || wait_operation_stop(self->operation, wait_port(self)))
        return false;
    self->operation = nullptr;
    return true;
}

// Waits anew, if it is to, for as long as there is nothing to be told.
void wait_go_on(struct evwait *self)
{
    if (!wait_is_added(self) || wait_is_under_way(self) || self->signalled || self->refused)
        return;
    int error = wait_begin(self);
    if (sys::is_shortage(error)) {
        if (event_add_nolock_(&self->retry, &wait_retry_interval, 0) != 0)
            event_active_later_nolock_(&self->retry, EV_TIMEOUT); // in the next turn, which needs no memory
    } else if (error != 0) {
        self->refused = true;
        event_active_nolock_(&self->event, EV_CLOSED, 1);
    }
}

void wait_retried(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<struct evwait *>(argument);
    base_locked held(self->base);
    wait_go_on(self);
}

// What is told to the callback, which is about to run.
short wait_take_news(struct evwait *self, short what)
{
    if (self->refused)
        event_del_nolock_(&self->event, EVENT_DEL_NOBLOCK);
    // Another thread has added it, or brought its signal, while this one had no lock: the next callback tells of that.
    if (wait_is_due(self))
        return what & EV_TIMEOUT;
    short news = self->refused ? EV_CLOSED : what & EV_TIMEOUT;
    // It ends with a callback, and what it has consumed is told then.
    bool was_signalled = !wait_is_added(self) && wait_end(self);
    if (self->signalled || was_signalled)
        news |= EV_READ;
    self->signalled = self->refused = false;
    return news;
}

void wait_called(evutil_socket_t, short what, void *argument)
{
    auto *self = static_cast<struct evwait *>(argument);
    struct event_base *base = self->base;
    bool freed = false;
    {
        base_locked held(base);
        what = wait_take_news(self, what);
        if (what == 0)
            return;
        self->freed = &freed;
    }
    self->cb(self->given, what, self->arg);
    if (freed)
        return;
    base_locked held(base);
    self->freed = nullptr;
    wait_go_on(self);
}

// It is not added any more, and no callback runs or comes.
void wait_forget(struct evwait *self)
{
    wait_end(self);
    self->signalled = self->refused = false;
}

} // namespace

int wait_add(struct evwait *self, const struct timeval *timeout)
{
    int error = event_add_nolock_(&self->event, timeout, 0) == 0 ? 0 : WSAENOBUFS;
    // A new timeout has taken back the callback of one that had passed, and with it what was due besides; and libevent
    // does not insert an event that was due before.
    if (error == 0 && !wait_is_added(self) && !wait_is_due(self))
        error = event_add_nolock_(&self->event, nullptr, 0) == 0 ? 0 : WSAENOBUFS;
    if (error == 0 && (self->signalled || self->refused))
        event_active_nolock_(&self->event, self->signalled ? EV_READ : EV_CLOSED, 1);
    else if (error == 0 && !wait_is_under_way(self))
        error = wait_begin(self);
    if (error == 0)
        return 0;
    event_del_nolock_(&self->event, EVENT_DEL_NOBLOCK);
    wait_forget(self);
    return error;
}

void waits_end(backend *owner)
{
    struct evwait *self;
    while ((self = TAILQ_FIRST(&owner->waits)) != nullptr) {
        TAILQ_REMOVE(&owner->waits, self, next);
        event_del_nolock_(&self->event, EVENT_DEL_NOBLOCK);
        event_del_nolock_(&self->retry, EVENT_DEL_NOBLOCK);
        wait_forget(self);
        if (self->operation != nullptr)
            wait_operation_free(self->operation);
        self->operation = nullptr;
        self->base = nullptr;
    }
}

} // namespace iocp

extern "C" {

struct evwait *evwait_iocp_new(struct event_base *base, void *handle, short events, evwait_iocp_cb cb, void *arg)
{
    backend *owner = base != nullptr ? backend_of(base) : nullptr;
    bool is_there = owner != nullptr && !owner->draining;
    if (!is_there || cb == nullptr || (events & ~(EV_PERSIST | EV_READ)) != 0) {
        WSASetLastError(is_there ? WSAEINVAL : WSAEOPNOTSUPP);
        return nullptr;
    }
    auto *self = static_cast<struct evwait *>(mm_calloc(1, sizeof(struct evwait)));
    int error = self != nullptr ? sys::wait_duplicate(handle, &self->own) : WSAENOBUFS;
    if (error != 0) {
        free_if_any(self);
        WSASetLastError(error);
        return nullptr;
    }
    event_assign(&self->event, base, -1, static_cast<short>(EV_READ | (events & EV_PERSIST)), wait_called, self);
    event_assign(&self->retry, base, -1, 0, wait_retried, self);
    self->base = base;
    self->cb = cb;
    self->arg = arg;
    self->given = handle;
    base_locked held(base);
    TAILQ_INSERT_TAIL(&owner->waits, self, next);
    return self;
}

int evwait_iocp_add(struct evwait *self, const struct timeval *timeout)
{
    if (self->base == nullptr) {
        WSASetLastError(WSAEINVAL);
        return -1;
    }
    base_locked held(self->base);
    int error = wait_add(self, timeout);
    if (error == 0)
        return 0;
    WSASetLastError(error);
    return -1;
}

int evwait_iocp_del(struct evwait *self)
{
    if (self->base == nullptr)
        return 0;
    for (;;) {
        // Without the lock: they wait for a callback that runs in the loop's thread.
        event_del(&self->event);
        event_del(&self->retry);
        base_locked held(self->base);
        // That callback may have added it again, and even run again.
        if (wait_is_added(self) || wait_is_due(self) || wait_runs_elsewhere(self))
            continue;
        wait_forget(self);
        return 0;
    }
}

int evwait_iocp_pending(const struct evwait *self)
{
    base_locked held(self->base);
    return self->base != nullptr && (wait_is_added(self) || wait_is_due(self));
}

int evwait_iocp_priority_set(struct evwait *self, int priority)
{
    base_locked held(self->base);
    return self->base != nullptr ? event_priority_set(&self->event, priority) : -1;
}

void evwait_iocp_free(struct evwait *self)
{
    if (self == nullptr)
        return;
    evwait_iocp_del(self);
    if (self->base != nullptr) {
        base_locked held(self->base);
        TAILQ_REMOVE(&backend_of(self->base)->waits, self, next);
        if (self->operation != nullptr)
            wait_operation_free(self->operation);
        if (self->freed != nullptr)
            *self->freed = true; // by the callback itself
    }
    event_debug_unassign(&self->event);
    event_debug_unassign(&self->retry);
    sys::close_handle(self->own);
    mm_free(self);
}
}
