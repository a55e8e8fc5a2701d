#include "backend/socket_record.h"
#include "backend/backend.h"
#include "backend/socket_lingering.h"
#include "backend/socket_registry.h"

#include <atomic>

namespace iocp {

namespace {

socket_record *socket_new_record(backend *owner, evutil_socket_t fd)
{
    auto *record = static_cast<socket_record *>(mm_calloc(1, sizeof(socket_record)));
    if (record == nullptr || !fd_table_add(&owner->sockets.by_descriptor, fd, record)) {
        event_warn("%s: calloc", __func__);
        free_if_any(record);
        return nullptr;
    }
    record->owner = owner;
    record->fd = fd;
    return record;
}

std::atomic<unsigned> all_kept; // descriptors with bytes, of all bases: as a rule none has any

void socket_set_early(socket_record *self, early_data early)
{
    if ((early.bytes != nullptr) != (self->early.bytes != nullptr)) // no bus is locked for nothing
        early.bytes != nullptr ? ++all_kept : --all_kept;
    self->early = early;
}

void socket_drop_early(socket_record *self)
{
    free_if_any(self->early.bytes);
    socket_set_early(self, early_data());
}

// Bytes that have moved here, of a connection that is no more.
bool socket_has_another_ones(const socket_record *self)
{
    return self->early.bytes != nullptr && self->early.connection != 0 &&
           self->early.connection != sys::connection_mark(static_cast<SOCKET>(socket_descriptor(self)));
}

int socket_join_port(socket_record *record, sys::transport by, bool *skips_packets)
{
    auto handle = reinterpret_cast<HANDLE>(socket_descriptor(record));
    // What is of one kind and was of another is not the same any more.
    if (record->bound && record->transport != by && record->own == nullptr)
        socket_begin_life(record);
    int error = port_associate(record->owner->port, handle);
    if (error == 0) {
        // It was on no port: if the record says otherwise, that was another socket.
        if (record->bound || socket_has_another_ones(record))
            socket_begin_life(record);
        record->bound = true;
        record->transport = by;
        record->reaches_port =
            by != sys::transport::socket || sys::has_ifs_handle(static_cast<SOCKET>(socket_descriptor(record)));
        record->skips_packets =
            record->reaches_port && sys::may_skip_packets(by) && sys::skip_packet_on_success(handle) == 0;
    }
    // On a port already. Ours, if we bound it; a port that we do not know would get our packets.
    *skips_packets = record->skips_packets;
    if (record->bound)
        error = 0;
    return error == 0 && !record->reaches_port ? WSAEOPNOTSUPP : error;
}

// Bytes that were lost are told by a reset, when the socket is closed.
bool socket_is_unused(const socket_record *self)
{
    return self->own == nullptr && LIST_EMPTY(&self->left.operations) && !self->left.resets &&
           self->early.bytes == nullptr;
}

} // namespace

socket_record *socket_find(backend *owner, evutil_socket_t fd)
{
    return static_cast<socket_record *>(fd_table_find(&owner->sockets.by_descriptor, fd));
}

socket_record *socket_obtain(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    return known != nullptr ? known : socket_new_record(owner, fd);
}

void socket_begin_life(socket_record *self)
{
    socket_drop_early(self);
    linger_forget(self);
    ++self->life;
    self->transport = sys::transport::socket;
    self->bound = self->reaches_port = self->skips_packets = self->came_early = false;
    if (self->own == nullptr)
        socket_unregister(self);
}

void socket_forget_file(socket_record *self)
{
    int type;
    if (self->transport != sys::transport::socket && self->own == nullptr &&
        sys::socket_type(static_cast<SOCKET>(self->fd), &type) == 0)
        socket_begin_life(self);
}

void sockets_free(backend *owner)
{
    fd_table all = owner->sockets.by_descriptor; // and no descriptor is found any more
    owner->sockets.by_descriptor = {};
    size_t at = 0;
    while (auto *record = static_cast<socket_record *>(fd_table_next(&all, &at))) {
        socket_unregister(record);
        if (record->own != nullptr)
            record->own->ops->base_ends(record->own);
        if (record->early.connection != 0 && !socket_has_another_ones(record))
            sys::end_connection(static_cast<SOCKET>(socket_descriptor(record))); // its next owner would miss them
        socket_drop_early(record);
        free_if_any(record->poll);
        mm_free(record);
    }
    fd_table_clear(&all);
}

socket_record *socket_next(const backend *owner, size_t *at)
{
    return static_cast<socket_record *>(fd_table_next(&owner->sockets.by_descriptor, at));
}

bool socket_bind(backend *owner, evutil_socket_t fd, bool *skips_packets)
{
    socket_record *record = socket_obtain(owner, fd);
    return record != nullptr && socket_join_port(record, sys::transport::socket, skips_packets) == 0;
}

int socket_bind_file(backend *owner, evutil_socket_t fd, sys::transport by, bool *skips_packets)
{
    socket_record *record = socket_obtain(owner, fd);
    return record != nullptr ? socket_join_port(record, by, skips_packets) : WSAENOBUFS;
}

void socket_leave_port(socket_record *self)
{
    if (!self->bound || !socket_is_unused(self))
        return;
    if (sys::leave_port(static_cast<SOCKET>(socket_descriptor(self))) == 0)
        socket_begin_life(self);
    else if (self->transport != sys::transport::socket)
        socket_unregister(self);
}

bool socket_is_stale(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    if (known == nullptr || port_associate(owner->port, reinterpret_cast<HANDLE>(fd)) != 0)
        return false;
    socket_begin_life(known);
    known->bound = true;
    known->reaches_port = sys::has_ifs_handle(static_cast<SOCKET>(fd));
    return true; // and it was not asked to leave no packets
}

bool socket_set_source(source *added)
{
    socket_record *known = socket_find(added->owner, added->fd);
    if (known == nullptr || !known->bound || known->own != nullptr || !socket_register(known))
        return false;
    known->own = added;
    return true;
}

void socket_clear_source(source *removed)
{
    socket_record *known = socket_find(removed->owner, removed->fd);
    if (known == nullptr || known->own != removed)
        return;
    known->own = nullptr;
    known->goes_by_own = false;
    socket_unregister_unused(known);
}

source *socket_own_source(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    return known != nullptr ? known->own : nullptr;
}

bool socket_register(socket_record *self)
{
    if (!self->registered)
        self->registered = registry_add(socket_descriptor(self), self->owner);
    return self->registered;
}

void socket_unregister(socket_record *self)
{
    if (self->registered)
        registry_remove(socket_descriptor(self), self->owner);
    self->registered = false;
}

// One that is on the port is told of its close: the next socket of that number may be on another base's.
void socket_unregister_unused(socket_record *self)
{
    if (socket_is_unused(self) && !self->bound)
        socket_unregister(self);
}

void socket_note_accepted(backend *owner, evutil_socket_t fd)
{
    owner->sockets.accepted = {fd, owner->loop.turn, registry_closes(fd)};
}

bool socket_was_just_accepted(backend *owner, evutil_socket_t fd)
{
    accepted_note *accepted = &owner->sockets.accepted;
    bool was = accepted->fd == fd && accepted->turn == owner->loop.turn && accepted->close_count == registry_closes(fd);
    if (was)
        accepted->fd = EVUTIL_INVALID_SOCKET;
    return was;
}

bool socket_keep_early(backend *owner, evutil_socket_t fd, early_data early, bool back)
{
    socket_record *known = socket_find(owner, fd);
    if (known == nullptr || !known->bound || known->early.bytes != nullptr || (back && !known->came_early) ||
        !socket_register(known))
        return false;
    socket_set_early(known, early);
    known->came_early = true;
    return true;
}

bool socket_keep_moved(backend *owner, evutil_socket_t fd, early_data early)
{
    socket_record *record = socket_obtain(owner, fd);
    if (record != nullptr && record->transport != sys::transport::socket && record->own == nullptr)
        socket_begin_life(record); // only sockets' bytes move: the file that had the number is gone
    if (record == nullptr || record->early.bytes != nullptr || !socket_register(record))
        return false;
    socket_set_early(record, early);
    return true;
}

bool sockets_keep_any()
{
    return all_kept.load(std::memory_order_relaxed) != 0;
}

bool socket_came_early(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    return known != nullptr && known->came_early;
}

bool socket_has_early(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    return known != nullptr && known->early.bytes != nullptr;
}

early_data socket_take_early(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    if (known == nullptr)
        return {};
    early_data taken = known->early;
    socket_set_early(known, early_data());
    socket_unregister_unused(known);
    return taken;
}

} // namespace iocp
