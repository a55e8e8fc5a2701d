#include "backend/socket_record.h"
#include "backend/backend.h"
#include "backend/orphans.h"
#include "backend/socket_lingering.h"
#include "backend/socket_registry.h"

#include <atomic>

namespace iocp {

namespace {

// The next one of the base's, all zeros. NULL for want of memory.
socket_record *socket_room_for_record(socket_records *all)
{
    record_block *block = all->blocks;
    if (block == nullptr || block->used == records_in_block) {
        block = static_cast<record_block *>(mm_calloc(1, sizeof(record_block)));
        if (block == nullptr)
            return nullptr;
        block->next = all->blocks;
        all->blocks = block;
    }
    return &block->records[block->used];
}

void socket_free_records(socket_records *all)
{
    while (record_block *block = all->blocks) {
        all->blocks = block->next;
        mm_free(block);
    }
}

socket_record *socket_new_record(backend *owner, evutil_socket_t fd)
{
    socket_records *all = &owner->sockets;
    socket_record *record = socket_room_for_record(all);
    if (record != nullptr) {
        record->owner = owner;
        record->fd = fd;
    }
    if (record == nullptr || !fd_table_add(&all->by_descriptor, record)) {
        event_warn("%s: calloc", __func__);
        return nullptr;
    }
    ++all->blocks->used;
    return record;
}

std::atomic<unsigned> all_kept; // descriptors with bytes, of all bases: as a rule none has any

// False for want of memory.
bool socket_set_early(socket_record *self, received_bytes *early)
{
    early->fd = self->fd;
    if (!fd_table_add(&self->owner->sockets.kept, early))
        return false;
    self->keeps_early = true;
    ++all_kept;
    return true;
}

received_bytes *socket_remove_early(socket_record *self)
{
    if (!self->keeps_early) // no bus is locked for nothing
        return nullptr;
    fd_table *kept = &self->owner->sockets.kept;
    auto *removed = static_cast<received_bytes *>(fd_table_find(kept, self->fd));
    fd_table_remove(kept, self->fd);
    self->keeps_early = false;
    --all_kept;
    return removed;
}

// Of a connection, by its mark, that is no more.
bool socket_has_another_ones(const socket_record *self)
{
    const received_bytes *early = socket_early(self);
    return early != nullptr && early->connection != 0 &&
           early->connection != sys::connection_mark(static_cast<SOCKET>(self->fd));
}

// Connections to a path (AF_UNIX) have all the same mark: where no base is left that knows which it is, none can be told
// from the next one of its number.
bool socket_has_mark_alone(evutil_socket_t fd)
{
    struct sockaddr_storage peer = {};
    int length = sizeof(peer);
    return sys::peer_address(static_cast<SOCKET>(fd), reinterpret_cast<struct sockaddr *>(&peer), &length) == 0 &&
           (peer.ss_family == AF_INET || peer.ss_family == AF_INET6);
}

// The base ends. What it has kept of a connection that goes on is for its next bufferevent, on whatever base, which may
// have it on its port.
void socket_orphan_early(socket_record *self)
{
    bool is_anothers = socket_has_another_ones(self);
    received_bytes *left = socket_remove_early(self);
    if (left == nullptr)
        return;
    if (is_anothers || left->connection == 0) {
        received_free(left);
    } else if (socket_has_mark_alone(self->fd) && orphans_keep(self->fd, left)) {
        socket_leave_port(self);
    } else {
        received_free(left);
        sys::end_connection(static_cast<SOCKET>(self->fd)); // its next owner would miss them
    }
}

int socket_join_port(socket_record *record, sys::transport by)
{
    auto handle = reinterpret_cast<HANDLE>(record->fd);
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
        record->reaches_port = by != sys::transport::socket || sys::has_ifs_handle(static_cast<SOCKET>(record->fd));
        // A program that has the file back, or never gave it away, may wait for the handle itself.
        bool is_socket = by == sys::transport::socket;
        sys::handle_signal when = is_socket ? sys::handle_signal::never : sys::handle_signal::at_each_end;
        record->skips_packets =
            record->reaches_port && sys::may_skip_packets(by) && sys::skip_packet_on_success(handle, when) == 0;
    }
    // On a port already. Ours, if we bound it; a port that we do not know would get our packets.
    if (record->bound)
        error = 0;
    return error == 0 && !record->reaches_port ? WSAEOPNOTSUPP : error;
}

// Bytes that were lost are told by a reset, when the socket is closed.
bool socket_is_unused(const socket_record *self)
{
    return self->own == nullptr && LIST_EMPTY(&self->left_sends) && self->left_cancelled == 0 && !self->resets &&
           !self->keeps_early;
}

} // namespace

socket_record *socket_find(backend *owner, evutil_socket_t fd)
{
    return static_cast<socket_record *>(fd_table_find(&owner->sockets.by_descriptor, fd));
}

socket_record *socket_obtain(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    return known != nullptr || !is_handle(fd) ? known : socket_new_record(owner, fd);
}

void socket_begin_life(socket_record *self)
{
    received_free(socket_remove_early(self));
    linger_forget(self);
    ++self->life;
    self->transport = sys::transport::socket;
    self->bound = self->reaches_port = self->skips_packets = self->came_early = self->was_connected = false;
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

void sockets_unregister(backend *owner)
{
    size_t at = 0;
    while (socket_record *record = socket_next(owner, &at))
        socket_unregister(record);
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
        socket_orphan_early(record);
        free_if_any(record->poll);
    }
    socket_free_records(&owner->sockets);
    fd_table_clear(&all);
}

socket_record *socket_next(const backend *owner, size_t *at)
{
    return static_cast<socket_record *>(fd_table_next(&owner->sockets.by_descriptor, at));
}

bool socket_bind(backend *owner, evutil_socket_t fd)
{
    socket_record *record = socket_obtain(owner, fd);
    return record != nullptr && socket_join_port(record, sys::transport::socket) == 0;
}

int socket_bind_file(backend *owner, evutil_socket_t fd, sys::transport by)
{
    socket_record *record = socket_obtain(owner, fd);
    return record != nullptr ? socket_join_port(record, by) : WSAENOBUFS;
}

void socket_leave_port(socket_record *self)
{
    if (!self->bound || !socket_is_unused(self))
        return;
    if (sys::leave_port(static_cast<SOCKET>(self->fd)) == 0)
        socket_begin_life(self);
    else if (self->transport != sys::transport::socket)
        socket_unregister(self);
}

bool socket_is_stale(backend *owner, evutil_socket_t fd, sys::transport by)
{
    socket_record *known = socket_find(owner, fd);
    if (known == nullptr || port_associate(owner->port, reinterpret_cast<HANDLE>(fd)) != 0)
        return false;
    socket_begin_life(known);
    known->bound = true;
    socket_register(known); // it is told of its close
    known->transport = by;
    known->reaches_port = by != sys::transport::socket || sys::has_ifs_handle(static_cast<SOCKET>(fd));
    return true; // and it was not asked to leave no packets
}

bool socket_set_source(source *added)
{
    socket_record *known = socket_of(added);
    if (!known->bound || known->own != nullptr || !socket_register(known))
        return false;
    known->own = added;
    return true;
}

void socket_clear_source(source *removed)
{
    socket_record *known = socket_of(removed);
    if (known->own != removed)
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
        self->registered = registry_add(self);
    return self->registered;
}

void socket_unregister(socket_record *self)
{
    if (self->registered)
        registry_remove(self);
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

bool socket_keep_early(backend *owner, evutil_socket_t fd, received_bytes *early, bool back)
{
    socket_record *known = socket_find(owner, fd);
    if (known == nullptr || !known->bound || known->keeps_early || (back && early->life != known->life) ||
        !socket_register(known) || !socket_set_early(known, early))
        return false;
    known->came_early = true;
    return true;
}

bool socket_keep_moved(backend *owner, evutil_socket_t fd, received_bytes *early)
{
    socket_record *record = socket_obtain(owner, fd);
    if (record != nullptr && record->transport != sys::transport::socket && record->own == nullptr)
        socket_begin_life(record); // only sockets' bytes move: the file that had the number is gone
    return record != nullptr && !record->keeps_early && socket_register(record) && socket_set_early(record, early);
}

bool sockets_keep_any()
{
    return all_kept.load(std::memory_order_relaxed) != 0 || orphans_are_there();
}

bool socket_came_early(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    return known != nullptr && known->came_early;
}

bool socket_has_early(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    return known != nullptr && known->keeps_early;
}

const received_bytes *socket_early(const socket_record *self)
{
    const fd_table *kept = &self->owner->sockets.kept;
    return self->keeps_early ? static_cast<const received_bytes *>(fd_table_find(kept, self->fd)) : nullptr;
}

received_bytes *socket_take_early(backend *owner, evutil_socket_t fd)
{
    socket_record *known = socket_find(owner, fd);
    if (known == nullptr)
        return nullptr;
    received_bytes *taken = socket_remove_early(known);
    socket_unregister_unused(known);
    return taken;
}

} // namespace iocp
