#include "backend/socket_interest.h"
#include "backend/backend.h"

namespace iocp {

namespace {

constexpr short own_events = EV_READ | EV_WRITE;

void interest_go_by(socket_record *record, bool own)
{
    record->goes_by_own = own;
    if (record->own != nullptr)
        record->own->in_use = own;
}

// The descriptor may be another socket than the last time: its source is chosen anew.
void interest_choose_source(socket_record *record)
{
    interest_go_by(record, record->own != nullptr);
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

// Of a socket that may have been watched by its bufferevent or listener alone so far.
int interest_widen_poll(socket_record *record, short events)
{
    if (events == 0)
        return 0;
    if (record->poll == nullptr)
        record->poll = poll_socket_new(record);
    if (record->poll == nullptr)
        return WSAENOBUFS;
    short unwatched = record->unwatched;
    record->unwatched = 0;
    int error = interest_widen(&record->poll->as_source, static_cast<short>(events | unwatched));
    if (error != 0 && unwatched != 0) // the socket is gone: whoever waits for it is told once
        evmap_io_active_(record->owner->base, record->fd, unwatched);
    return error;
}

// The same, of interest that is there and cannot be refused.
void interest_watch(socket_record *record, short events)
{
    int error = interest_widen_poll(record, events);
    if (error != 0 && record->poll == nullptr) {
        record->unwatched = static_cast<unsigned char>(record->unwatched | events);
        record->owner->sockets.any_unwatched = true;
        record->owner->loop.retry_soon = true;
    } else if (error != 0) { // as of any socket that goes
        evmap_io_active_(record->owner->base, record->fd, events);
    }
}

// What goes by the poll.
short interest_polled(const socket_record *record)
{
    return static_cast<short>(record->unwatched | (record->poll != nullptr ? record->poll->as_source.wanted : 0));
}

void interest_narrow_poll(socket_record *record, short events)
{
    record->unwatched = static_cast<unsigned char>(record->unwatched & ~events);
    if (record->poll != nullptr)
        interest_narrow(&record->poll->as_source, events);
}

// From a source that goes. The descriptor's events go by the poll from now on.
short interest_take(socket_record *record, source *leaving)
{
    source_unqueue(leaving);
    if (record->own != leaving || !record->goes_by_own)
        return 0;
    short moved = leaving->wanted;
    leaving->wanted = 0;
    interest_go_by(record, false);
    return moved;
}

void interest_tell_round(const socket_record *record, short events, bool listens)
{
    if (record->has_listeners && (events & EV_READ) != 0)
        rounds_listen(record->owner, record->fd, listens);
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
        return interest_refuse(fd, is_handle(fd) ? WSAENOBUFS : WSAENOTSOCK);
    if ((old & source_events) == 0)
        interest_choose_source(record);
    // Only a poll sees an early close.
    short by_poll = record->goes_by_own ? static_cast<short>(events & ~own_events) : events;
    int error = interest_widen_poll(record, by_poll);
    if (error == 0 && record->goes_by_own)
        error = interest_widen(record->own, static_cast<short>(events & ~by_poll));
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
    interest_narrow_poll(record, events);
    if (record->goes_by_own)
        interest_narrow(record->own, events);
    return 0;
}

void interest_take_over(source *arriving)
{
    socket_record *record = socket_of(arriving);
    if (record->own != arriving || record->goes_by_own)
        return;
    short moved = static_cast<short>(interest_polled(record) & own_events);
    interest_narrow_poll(record, moved);
    interest_go_by(record, true);
    interest_widen(arriving, moved);
}

void interest_fall_back(source *leaving)
{
    socket_record *record = socket_of(leaving);
    short moved = interest_take(record, leaving);
    if (moved != 0 && !record->owner->draining)
        interest_watch(record, moved);
}

void interest_close(source *leaving)
{
    socket_record *record = socket_of(leaving);
    short moved = interest_take(record, leaving);
    const backend *owner = record->owner;
    if (moved == 0 || owner->draining)
        return;
    // Interest that is added under this number later finds what is there already. (Without memory it is there no more.)
    if (record->poll == nullptr)
        record->poll = poll_socket_new(record);
    if (record->poll != nullptr) {
        record->poll->as_source.wanted = static_cast<short>(record->poll->as_source.wanted | moved);
        record->poll->dead = true;
    }
    evmap_io_active_(owner->base, record->fd, moved);
}

bool interest_revive(const socket_record *record)
{
    return record->poll != nullptr && poll_socket_revive(record->poll);
}

void interest_retry(backend *owner)
{
    owner->sockets.any_unwatched = false;
    size_t at = 0;
    while (socket_record *record = socket_next(owner, &at)) {
        short unwatched = record->unwatched;
        record->unwatched = 0;
        if (unwatched != 0)
            interest_watch(record, unwatched);
    }
}

void interest_drop_all(backend *owner)
{
    size_t at = 0;
    while (socket_record *record = socket_next(owner, &at)) {
        if (record->own != nullptr) {
            source_unqueue(record->own);
            record->own->wanted = 0;
        }
        interest_go_by(record, false);
        record->unwatched = 0;
        if (record->poll != nullptr)
            poll_socket_destroy(record->poll);
    }
}

} // namespace iocp
