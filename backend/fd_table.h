// A table from descriptors to what is known of them. Whoever has one guards it.
#ifndef LIBEVENT_IOCP_BACKEND_FD_TABLE_H
#define LIBEVENT_IOCP_BACKEND_FD_TABLE_H

#include "compat/libevent.h"

namespace iocp {

// What is in a table begins with this, so that a slot is a pointer and no more: there are two for each connection.
struct fd_table_entry {
    evutil_socket_t fd;
};

struct backend;

// The same, of a base.
struct owned_descriptor : fd_table_entry {
    backend *owner;
};

// Open addressing with linear probing, kept at most seven eighths full; it grows by a quarter. All zeros: empty.
struct fd_table {
    fd_table_entry **slots; // NULL: an empty one
    size_t capacity;
    size_t used;
};

// Handles are multiples of four, and most are close to each other; the multiplier (2^64 divided by the golden ratio)
// spreads them. The upper bits, as a fraction of 2^32, say where in the table: it may have any size.
inline size_t fd_table_home(evutil_socket_t fd, size_t capacity)
{
    uint64_t spread = ((static_cast<uint64_t>(fd) >> 2) * 0x9E3779B97F4A7C15ull) >> 32;
    return static_cast<size_t>((spread * capacity) >> 32);
}

inline size_t fd_table_after(size_t slot, size_t capacity)
{
    return slot + 1 == capacity ? 0 : slot + 1;
}

// The slot of fd, or the empty one where it belongs. The table has room.
inline fd_table_entry **fd_table_probe(fd_table_entry **slots, size_t capacity, evutil_socket_t fd)
{
    size_t i = fd_table_home(fd, capacity);
    while (slots[i] != nullptr && slots[i]->fd != fd)
        i = fd_table_after(i, capacity);
    return &slots[i];
}

inline fd_table_entry *fd_table_find(const fd_table *self, evutil_socket_t fd)
{
    return self->used != 0 ? *fd_table_probe(self->slots, self->capacity, fd) : nullptr;
}

// Its descriptor must not be in the table. False for want of memory.
bool fd_table_add(fd_table *self, fd_table_entry *added);
// The same, but takes the place of another with that descriptor.
bool fd_table_put(fd_table *self, fd_table_entry *added);
// Nothing if it is not in it. The last one to go frees the table's memory.
void fd_table_remove(fd_table *self, evutil_socket_t fd);

// One after the other, in no order: `*at` begins as 0. NULL: there are no more. The table must not change meanwhile.
fd_table_entry *fd_table_next(const fd_table *self, size_t *at);
// Forgets all.
void fd_table_clear(fd_table *self);

} // namespace iocp

#endif
