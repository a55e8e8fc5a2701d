#include "backend/port_watcher.h"

#include <initializer_list>

namespace iocp {

struct port_watcher {
    port *on;
    HANDLE thread;
    HANDLE go;   // it is told to watch, or to end
    HANDLE idle; // set while it does not watch
    OVERLAPPED_ENTRY taken[max_packets];
    ULONG count;
    int error;
    bool watches;
    bool ends;
};

namespace {

void watcher_recall_packet(struct event_overlapped *, ev_uintptr_t, ev_ssize_t, int)
{
}

// What it writes is read when `idle` has been seen set, and the other way round for `go`.
void watcher_run(void *argument)
{
    auto *self = static_cast<port_watcher *>(argument);
    while (sys::wait_for(self->go, -1) && !self->ends) {
        self->error = sys::port_dequeue(self->on->for_libevent.port, self->taken, max_packets, -1,
                                        sys::wait_kind::plain, &self->count);
        sys::event_set(self->idle);
    }
}

int watcher_call_back(port_watcher *self)
{
    HANDLE port = self->on->for_libevent.port;
    for (int tries = 0; self->watches && tries < max_recalls; ++tries) {
        self->watches = !sys::wait_for(self->idle, 0);
        if (!self->watches)
            break;
        int error = sys::port_post(port, port_uncounted_key, 0, &self->on->recall.overlapped);
        self->watches = !sys::wait_for(self->idle, error == 0 ? -1 : recall_wait_ms);
    }
    return self->watches ? WSAENOBUFS : 0;
}

void watcher_free(port_watcher *self)
{
    for (HANDLE each : {self->go, self->idle})
        if (each != nullptr)
            sys::close_handle(each);
    mm_free(self);
}

} // namespace

int port_watcher_start(port *on)
{
    EVUTIL_ASSERT(on->watcher == nullptr);
    auto *self = static_cast<port_watcher *>(mm_calloc(1, sizeof(port_watcher)));
    if (self == nullptr)
        return WSAENOBUFS;
    self->on = on;
    event_overlapped_init_(&on->recall, watcher_recall_packet);
    int error = sys::event_create(false, &self->go);
    if (error == 0)
        error = sys::event_create(true, &self->idle);
    if (error == 0) {
        sys::event_set(self->idle);
        error = sys::thread_start(watcher_run, self, &self->thread);
    }
    if (error != 0) {
        watcher_free(self);
        return error;
    }
    on->watcher = self;
    return 0;
}

HANDLE port_watcher_event(const port *on)
{
    return on->watcher->idle;
}

void port_watcher_watch(port *on)
{
    port_watcher *self = on->watcher;
    if (self->watches || self->count > 0 || self->error != 0)
        return;
    sys::event_reset(self->idle);
    self->watches = true;
    sys::event_set(self->go);
}

int port_watcher_take(port *on, OVERLAPPED_ENTRY *entries, ULONG *count)
{
    port_watcher *self = on->watcher;
    int error = watcher_call_back(self);
    if (error != 0)
        return error;
    *count = self->count;
    memcpy(entries, self->taken, self->count * sizeof(self->taken[0]));
    self->count = 0;
    return self->error;
}

void port_watcher_stop(port *on)
{
    port_watcher *self = on->watcher;
    if (self == nullptr)
        return;
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    if (port_watcher_take(on, entries, &count) != 0 && self->watches) {
        event_warnx("iocp: the thread that watches a port cannot be called back, and is leaked");
        on->watcher = nullptr;
        return;
    }
    port_deliver(on, entries, count);
    self->ends = true;
    sys::event_set(self->go);
    sys::thread_wait(self->thread, -1);
    watcher_free(self);
    on->watcher = nullptr;
}

} // namespace iocp
