#include "backend/socket_interest.h"
#include "backend/backend.h"

namespace iocp {

namespace {

constexpr short own_events = EV_READ | EV_WRITE;

void interest_use(socket_record *record, source *chosen)
{
    record->active->in_use = false;
    record->active = chosen;
    chosen->in_use = true;
}

// The descriptor may be another socket than the last time: its source is chosen anew.
void interest_choose_source(socket_record *record)
{
    interest_use(record, record->own != nullptr ? record->own : &record->poll.as_source);
}

int interest_widen(source *widened, short events)
{
    if (events == 0)
        return 0;
    int error = widened->ops->widened(widened, widened->wanted == 0);
    if (error != 0)
        return error;
    widened->wanted = static_cast<short>(widened->wanted | events);
    source_queue(widened);
    return 0;
}

void interest_narrow(source *narrowed, short events)
{
    if ((narrowed->wanted & events) == 0)
        return;
    narrowed->wanted = static_cast<short>(narrowed->wanted & ~events);
    narrowed->ops->narrowed(narrowed);
}

// From a source that goes. The descriptor's events go by the poll from now on.
short interest_take(backend *owner, source *leaving)
{
    source_unqueue(leaving);
    socket_record *record = socket_find(owner, leaving->fd);
    if (record == nullptr || record->active != leaving)
        return 0;
    short moved = leaving->wanted;
    leaving->wanted = 0;
    interest_use(record, &record->poll.as_source);
    return moved;
}

void interest_tell_round(const socket_record *record, short events, bool listens)
{
    if (record->has_listeners && (events & EV_READ) != 0)
        rounds_listen(record->poll.as_source.owner, socket_descriptor(record), listens);
}

int interest_refuse(evutil_socket_t fd, int error)
{
    WSASetLastError(error);
    event_sock_warn(fd, "iocp: this descriptor cannot be watched");
    WSASetLastError(error);
    return -1;
}

} // namespace

int interest_add(backend *owner, evutil_socket_t fd, short old, short events, socket_record **slot)
{
    events &= source_events;
    if (events == 0)
        return 0; // event_reinit names every descriptor that it ever saw
    if (*slot == nullptr)
        *slot = socket_obtain(owner, fd);
    socket_record *record = *slot;
    if (record == nullptr)
        return interest_refuse(fd, WSAENOBUFS);
    if ((old & source_events) == 0)
        interest_choose_source(record);
    // Only a poll sees an early close.
    short by_poll = record->active == &record->poll.as_source ? events : static_cast<short>(events & ~own_events);
    int error = interest_widen(&record->poll.as_source, by_poll);
    if (error == 0)
        error = interest_widen(record->active, static_cast<short>(events & ~by_poll));
    if (error != 0)
        return interest_refuse(fd, error);
    interest_tell_round(record, events, true);
    return 0;
}

int interest_del(short events, socket_record **slot)
{
    socket_record *record = *slot;
    if (record == nullptr)
        return 0;
    interest_tell_round(record, events, false);
    interest_narrow(&record->poll.as_source, events);
    if (record->active != &record->poll.as_source)
        interest_narrow(record->active, events);
    return 0;
}

void interest_take_over(backend *owner, source *arriving)
{
    socket_record *record = socket_find(owner, arriving->fd);
    if (record == nullptr || record->active != &record->poll.as_source)
        return;
    short moved = record->poll.as_source.wanted & own_events;
    interest_narrow(&record->poll.as_source, moved);
    interest_use(record, arriving);
    interest_widen(arriving, moved);
}

void interest_fall_back(backend *owner, source *leaving)
{
    short moved = interest_take(owner, leaving);
    // Refused, if the socket is gone: whoever waits for it is told once, as of any socket that goes.
    if (moved != 0 && !owner->draining && interest_widen(&socket_find(owner, leaving->fd)->poll.as_source, moved) != 0)
        evmap_io_active_(owner->base, leaving->fd, moved);
}

void interest_close(backend *owner, source *leaving)
{
    short moved = interest_take(owner, leaving);
    if (moved == 0 || owner->draining)
        return;
    poll_socket *poll = &socket_find(owner, leaving->fd)->poll;
    poll->as_source.wanted = static_cast<short>(poll->as_source.wanted | moved);
    poll->dead = true;
    evmap_io_active_(owner->base, leaving->fd, moved);
}

void interest_drop_all(backend *owner)
{
    socket_record *record;
    LIST_FOREACH (record, &owner->sockets.all, listed) {
        source_unqueue(record->active);
        record->active->wanted = 0;
        interest_use(record, &record->poll.as_source);
        record->active->in_use = false;
        poll_socket_destroy(&record->poll);
    }
}

} // namespace iocp
