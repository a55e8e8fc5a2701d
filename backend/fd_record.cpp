#include "backend/fd_record.h"
#include "backend/backend.h"
#include "backend/socket_registry.h"

namespace iocp {

namespace {

constexpr short own_events = EV_READ | EV_WRITE;

fd_record *record_new(backend *owner, evutil_socket_t fd)
{
    auto *record = static_cast<fd_record *>(mm_calloc(1, sizeof(fd_record)));
    if (record == nullptr) {
        event_warn("%s: calloc", __func__);
        return nullptr;
    }
    poll_socket_init(&record->poll, owner, fd);
    record->active = &record->poll.face;
    record->next = owner->records;
    owner->records = record;
    return record;
}

void use(fd_record *record, source *chosen)
{
    record->active->in_use = false;
    record->active = chosen;
    chosen->in_use = true;
}

// The descriptor may be another socket than the last time: its source is chosen anew.
void choose_source(backend *owner, fd_record *record)
{
    source *own = socket_find_source(record->poll.face.fd);
    use(record, own != nullptr && own->owner == owner ? own : &record->poll.face);
}

int widen(source *widened, short events)
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

void narrow(source *narrowed, short events)
{
    if ((narrowed->wanted & events) == 0)
        return;
    narrowed->wanted = static_cast<short>(narrowed->wanted & ~events);
    narrowed->ops->narrowed(narrowed);
}

int refuse(evutil_socket_t fd, int error)
{
    WSASetLastError(error);
    event_sock_warn(fd, "iocp: this descriptor cannot be watched");
    WSASetLastError(error);
    return -1;
}

} // namespace

int fd_record_add(backend *owner, evutil_socket_t fd, short old, short events, fd_record **slot)
{
    events &= source_events;
    if (events == 0)
        return 0; // event_reinit names every descriptor that it ever saw
    if (*slot == nullptr)
        *slot = record_new(owner, fd);
    fd_record *record = *slot;
    if (record == nullptr)
        return refuse(fd, WSAENOBUFS);
    if ((old & source_events) == 0)
        choose_source(owner, record);
    // Only a poll sees an early close.
    short by_poll = record->active == &record->poll.face ? events : static_cast<short>(events & ~own_events);
    int error = widen(&record->poll.face, by_poll);
    if (error == 0)
        error = widen(record->active, static_cast<short>(events & ~by_poll));
    return error == 0 ? 0 : refuse(fd, error);
}

int fd_record_del(short events, fd_record **slot)
{
    fd_record *record = *slot;
    if (record == nullptr)
        return 0;
    narrow(&record->poll.face, events);
    if (record->active != &record->poll.face)
        narrow(record->active, events);
    return 0;
}

void fd_record_take_over(backend *owner, source *arriving)
{
    auto **slot = static_cast<fd_record **>(evmap_io_get_fdinfo_(&owner->base->io, arriving->fd));
    if (slot == nullptr || *slot == nullptr || (*slot)->active != &(*slot)->poll.face)
        return;
    short moved = (*slot)->poll.face.wanted & own_events;
    narrow(&(*slot)->poll.face, moved);
    use(*slot, arriving);
    widen(arriving, moved);
}

void fd_record_fall_back(backend *owner, source *leaving)
{
    source_unqueue(leaving);
    auto **slot = static_cast<fd_record **>(evmap_io_get_fdinfo_(&owner->base->io, leaving->fd));
    if (slot == nullptr || *slot == nullptr || (*slot)->active != leaving)
        return;
    short moved = leaving->wanted;
    leaving->wanted = 0;
    use(*slot, &(*slot)->poll.face);
    // Refused, if the socket is gone: whoever waits for it is told once, as of any socket that goes.
    if (!owner->draining && widen(&(*slot)->poll.face, moved) != 0)
        evmap_io_active_(owner->base, leaving->fd, moved);
}

void fd_records_free(backend *owner)
{
    while (owner->records != nullptr) {
        fd_record *record = owner->records;
        owner->records = record->next;
        source_unqueue(record->active);
        record->active->wanted = 0;
        record->active->in_use = false;
        poll_socket_destroy(&record->poll);
        mm_free(record);
    }
}

} // namespace iocp
