// A table from descriptors to pointers. Whoever has one guards it.
#ifndef LIBEVENT_IOCP_BACKEND_FD_TABLE_H
#define LIBEVENT_IOCP_BACKEND_FD_TABLE_H

#include "compat/libevent.h"

namespace iocp {

struct fd_table_slot {
    evutil_socket_t fd;
    void *value; // NULL: an empty slot
};

// Open addressing with linear probing over a power of two of slots, kept at most two thirds full. All zeros: empty.
struct fd_table {
    fd_table_slot *slots;
    size_t capacity;
    size_t used;
};

void *fd_table_find(const fd_table *self, evutil_socket_t fd);
// The descriptor must not be in it. False for want of memory.
bool fd_table_add(fd_table *self, evutil_socket_t fd, void *value);
// Nothing if it is not in it. The last one to go frees the table's memory.
void fd_table_remove(fd_table *self, evutil_socket_t fd);

// One after the other, in no order: `*at` begins as 0. NULL: there are no more. The table must not change meanwhile.
void *fd_table_next(const fd_table *self, size_t *at);
// Forgets all.
void fd_table_clear(fd_table *self);

} // namespace iocp

#endif
