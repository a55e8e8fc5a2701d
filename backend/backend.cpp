#include "backend/backend.h"
#include "backend/afd_device.h"
#include "backend/handles/directory_watch.h"
#include "backend/handles/handle_wait.h"
#include "backend/port_watcher.h"
#include "backend/port_workers.h"
#include "backend/socket_record.h"
#include "backend/socket_registry.h"

extern "C" const struct eventop iocp_stock_select_ops; // libevent's win32ops, renamed

namespace iocp {

port port_refused;

int64_t backend_now_us(backend *self)
{
    struct timeval now;
    evutil_gettime_monotonic_(&self->base->monotonic_timer, &now);
    return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_usec;
}

backend *backend_new(struct event_base *base, port *on)
{
    auto *self = static_cast<backend *>(mm_calloc(1, sizeof(backend)));
    if (self == nullptr) {
        event_warn("%s: calloc", __func__);
        return nullptr;
    }
    self->base = base;
    self->port = on;
    loop_init(&self->loop);
    linger_init(&self->lingering);
    rounds_init(&self->rounds);
    TAILQ_INIT(&self->streams.budget.waiting);
    TAILQ_INIT(&self->waits);
    SIMPLEQ_INIT(&self->streams.sent.waiting);
    SIMPLEQ_INIT(&self->streams.idle.operations);
    TAILQ_INIT(&self->directories);
    on->base = base;
    return self;
}

bool backend_is_out_of_reach(const backend *self)
{
    const struct event_base *base = self->base;
    return base->th_base_lock == nullptr && base->running_loop && self->loop.thread != GetCurrentThreadId();
}

bool environment_asks(const struct event_base *base, const char *name)
{
    if ((base->flags & EVENT_BASE_FLAG_IGNORE_ENV) != 0)
        return false;
    const char *value = evutil_getenv_(name);
    return value != nullptr && value[0] != '\0' && !(value[0] == '0' && value[1] == '\0');
}

namespace {

bool backend_has_lingering_bytes(const void *owner)
{
    return linger_sends(static_cast<const backend *>(owner));
}

void backend_free_idle_sends(idle_sends *idle)
{
    while (completion *first = SIMPLEQ_FIRST(&idle->operations)) {
        SIMPLEQ_REMOVE_HEAD(&idle->operations, first, next.waits);
        mm_free(first);
    }
    idle->count = 0;
}

} // namespace

std::atomic<unsigned> *backend_uses(backend *owner)
{
    return &owner->uses;
}

void backend_drain(backend *self)
{
    {
        base_locked held(self->base);
        self->draining = true;
        embedding_end(self);
        port_watcher_stop(self->port);
        port_collect_while(self->port, backend_has_lingering_bytes, self, lingering_at_free_us);
        linger_stop(self);
        waits_end(self);
        if (!port_drain(self->port))
            event_warnx("iocp: %u operations did not end; their memory and the port are leaked",
                        static_cast<unsigned>(self->port->in_flight.count));
        directories_base_ends(self);
    }
    if (self->streams.sent.free_all != nullptr)
        self->streams.sent.free_all(self);
}

void backend_hide(backend *self)
{
    {
        base_locked held(self->base);
        sockets_unregister(self);
    }
    registry_await_uses(self);
}

void backend_close(backend *self)
{
    sources_free(self);
    rounds_end(self);
    sockets_free(self);
    backend_free_idle_sends(&self->streams.idle);
    if (self->port->in_flight.count == 0) { // else it was waited for long enough, and has been warned of
        afd_device_close_all(&self->devices);
        port_close(self->port);
        mm_free(self);
    }
}

bool backend_adopt(struct event_base *base)
{
    port *on = port_of(base->iocp);
    // The loop keeps its backend for a whole run. A base that was made with the flag and is on select nevertheless is
    // there because its program ruled this backend out.
    if (base->running_loop || base->evsel != &iocp_stock_select_ops ||
        (base->flags & EVENT_BASE_FLAG_STARTUP_IOCP) != 0)
        return false;
    // libevent's map of descriptors was laid out for select's records; ours must fit in their place.
    if (iocp_stock_select_ops.fdinfo_len < sizeof(socket_record *) || port_workers_stop(on, -1) != 0)
        return false;
    backend *prepared = backend_new(base, on);
    if (prepared == nullptr)
        return false;
    base->evsel->dealloc(base);
    base->evsel = &iocpops;
    base->evbase = prepared;
    // Its steps are just what is needed: drop the wake-up and signal sockets, ask the backend anew, add every event.
    event_reinit(base); // fails for a descriptor that cannot be watched any more; the base has moved all the same
    return true;
}

} // namespace iocp
