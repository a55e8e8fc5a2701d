// Bytes that were received and wait to be read, or the room for those that a receive is to bring: one block of memory with
// all that need be known of it, so that a connection that waits without has none of that.
//
// It changes hands as a whole: from a receive to the descriptor's record, to another base's, and to the next reader. Whoever
// has it frees it (received_free), or hands its bytes to an evbuffer.
#ifndef LIBEVENT_IOCP_BACKEND_RECEIVED_BYTES_H
#define LIBEVENT_IOCP_BACKEND_RECEIVED_BYTES_H

#include "backend/fd_table.h"

namespace iocp {

struct stream;

// Which of a descriptor's lives. When a number comes back, the kernel has long given back what was in flight on all but the
// last few sockets that had it.
using socket_life = uint16_t;

struct received_bytes : fd_table_entry { // its descriptor, while a base keeps it for that
    TAILQ_ENTRY(received_bytes) listed;  // the budget's, while a receive is in flight with it (see receive_budget.h)
    stream *owner;                       // whose receive that is
    unsigned capacity;
    unsigned begin; // what is held: [begin, end)
    unsigned end;
    uint32_t connection; // whose they are, see sys::connection_mark; 0: they stay with the base that has them
    socket_life life;    // of its stream's descriptor, for which the receive was started
    bool in_list;
    char bytes[1]; // `capacity` of them
};

// NULL for want of memory. Nothing is held.
received_bytes *received_new(unsigned capacity);
// NULL: nothing.
void received_free(received_bytes *self);

inline unsigned received_length(const received_bytes *self)
{
    return self->end - self->begin;
}

inline const char *received_first(const received_bytes *self)
{
    return self->bytes + self->begin;
}

// Copies what is held, up to `at_most`, which is held no longer. How many bytes that were.
unsigned received_take(received_bytes *self, char *into, unsigned at_most);

} // namespace iocp

#endif
