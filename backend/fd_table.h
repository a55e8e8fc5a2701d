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

fd_table_entry *fd_table_find(const fd_table *self, evutil_socket_t fd);
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
