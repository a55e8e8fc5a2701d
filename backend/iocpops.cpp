// libevent's backend interface (struct eventop): where a base enters. Its loop is in loop_turn.cpp.
#include "backend/backend.h"
#include "backend/loop_turn.h"
#include "backend/socket_interest.h"
#include "backend/signals.h"

namespace iocp {

namespace {

void iocp_wake_packet(struct event_overlapped *record, ev_uintptr_t, ev_ssize_t, int)
{
    // Cleared when the packet is taken, not when it is posted: wake-ups in between need no packet of their own.
    EVUTIL_UPCAST(record, backend, wake)->base->is_notify_pending = 0;
}

int iocp_wake_base(struct event_base *base)
{
    backend *self = backend_of(base);
    if (port_post(self->port, &self->wake, 0, 0) == 0)
        return 0;
    base->is_notify_pending = 0; // no packet will clear it
    return -1;
}

bool iocp_is_asked_for(const struct event_base *base)
{
    if ((base->flags & EVENT_BASE_FLAG_STARTUP_IOCP) != 0 || iocp_every_base != 0)
        return true;
    return environment_asks(base, "EVENT_IOCP");
}

void iocp_hold_precise_clock(backend *self, bool hold)
{
    if (self->precise != hold)
        sys::precise_clock(hold);
    self->precise = hold;
}

void iocp_make_wakeable(backend *self)
{
    event_overlapped_init_(&self->wake, iocp_wake_packet);
    self->base->th_notify_fn = iocp_wake_base;
    iocp_hold_precise_clock(self, (self->base->flags & EVENT_BASE_FLAG_PRECISE_TIMER) != 0);
    signals_init(self);
}

backend *iocp_start(struct event_base *base)
{
    // Its port is there already after event_reinit, and when a base moves over from select.
    port *on = port_of(base->iocp);
    if (on != nullptr) {
        backend *known = backend_of(base);
        EVUTIL_ASSERT(on->base == base && known != nullptr);
        iocp_make_wakeable(known);
        return known;
    }
    on = port_open();
    backend *self = on != nullptr ? backend_new(base, on) : nullptr;
    if (self == nullptr) {
        if (on != nullptr)
            port_close(on);
        return nullptr;
    }
    base->iocp = &on->for_libevent;
    iocp_make_wakeable(self);
    evutil_weakrand_seed_(&base->weakrand_seed, 0);
    return self;
}

void *iocp_init(struct event_base *base)
{
    if (base->iocp == nullptr && !iocp_is_asked_for(base))
        return nullptr;
    backend *self = iocp_start(base);
    if (self == nullptr && (base->flags & EVENT_BASE_FLAG_STARTUP_IOCP) != 0)
        base->iocp = &port_refused.for_libevent; // the warning has been given: libevent need not try again
    return self;
}

void *iocp_init_last_resort(struct event_base *base)
{
    // Reached when the configuration or the environment rules select out. The base is told that its backend is the
    // first entry, so that nothing has to know of two.
    if (base->iocp == &port_refused.for_libevent)
        return nullptr;
    base->evsel = &iocpops;
    return iocp_start(base);
}

int iocp_add(struct event_base *base, evutil_socket_t fd, short old, short events, void *fdinfo)
{
    return interest_add(backend_of(base), fd, old, events, static_cast<socket_record **>(fdinfo));
}

int iocp_del(struct event_base *, evutil_socket_t, short, short events, void *fdinfo)
{
    return interest_del(events, static_cast<socket_record **>(fdinfo));
}

int iocp_dispatch(struct event_base *base, struct timeval *tv)
{
    // Callbacks may ask for the error of a call that the program has made before it waited (evutil_socket_geterror).
    int error = WSAGetLastError();
    backend *self = backend_of(base);
    int result =
        self->embedded.stage == embedding_stage::none ? loop_take_turn(self, tv) : embedding_take_turn(self, tv);
    if (result == 0)
        WSASetLastError(error);
    return result;
}

void iocp_dealloc(struct event_base *base)
{
    backend *self = backend_of(base);
    if (self == nullptr)
        return;
    if (base->iocp == nullptr)
        backend_hide(self);
    signals_dealloc(self);
    interest_drop_all(self);
    base->th_notify_fn = nullptr;
    base->is_notify_pending = 0;
    iocp_hold_precise_clock(self, false);
    if (base->iocp != nullptr)
        return; // event_reinit: init comes next, and finds its port, with the sockets that are bound to it
    backend_close(self);
    base->evbase = nullptr;
}

constexpr auto iocp_features = static_cast<event_method_feature>(EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE);

} // namespace

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
    "iocp",        iocp_init_last_resort,   iocp_add, iocp_del, iocp_dispatch, iocp_dealloc, 1,
    iocp_features, sizeof(socket_record *),
};

} // namespace iocp
