// What a base knows of one descriptor: the only record of it.
//
// A record belongs to the base, and lives as long: libevent's map of descriptors keeps a pointer to it. So records are
// allocated many at a time. What one says belongs to one life of the descriptor, from the socket's first use to its
// close; the next socket under the same number begins anew (socket_begin_life).
//
// Threads: with the base's lock held, all of it.
#ifndef LIBEVENT_IOCP_BACKEND_SOCKET_RECORD_H
#define LIBEVENT_IOCP_BACKEND_SOCKET_RECORD_H

#include "backend/fd_table.h"
#include "backend/poll_socket.h"
#include "backend/received_bytes.h"

namespace iocp {

struct lingering_on;

// There is one for each descriptor that its base has ever used: what few of them need is allocated apart, or is with the
// operations that need it.
struct socket_record : owned_descriptor {
    source *own;                          // what a bufferevent or listener has brought for it; NULL: nothing
    poll_socket *poll;                    // for interest that does not go by `own`; NULL: there never was any
    LIST_HEAD(, lingering_on) left_sends; // in flight, and nobody waits for them (see socket_lingering.h)
    uint16_t left_cancelled;              // the same, of operations that were cancelled: how many
    socket_life life;
    unsigned char longer;         // how many times more than others it may linger, see linger_longer
    unsigned char unwatched;      // interest that has no poll yet, for want of memory (see interest_retry)
    sys::transport transport : 2; // a socket's until it is bound
    bool goes_by_own : 1;         // EV_READ and EV_WRITE go by `own`, and not by the poll
    bool bound : 1;               // the socket is on the base's port, which it joins once in its life
    bool reaches_port : 1;        // its overlapped operations do
    bool skips_packets : 1;       // those that are done at once leave no packet
    bool was_connected : 1;       // and is no more, if a receive says that it is not
    bool came_early : 1;          // its connection came with data
    bool keeps_early : 1;         // some of that is kept, or what a reader has left: see socket_keep_early
    bool registered : 1;          // see socket_registry.h
    bool has_listeners : 1;       // or has had some: see listening_round.h
    bool close_asked : 1;         // it lingers, and was closed, as far as its program knows
    bool shuts_down : 1;          // it lingers, and was shut down for sending
    bool resets : 1;              // has lingered for too long, or lost bytes
};

// Records are allocated so many at a time.
constexpr unsigned records_in_block = 32;

struct record_block {
    record_block *next;
    unsigned used;
    socket_record records[records_in_block];
};

// The connection that a listener has brought last.
struct accepted_note {
    evutil_socket_t fd;
    uint64_t turn;        // in which
    unsigned close_count; // how many descriptors with its counter the process had closed by then (registry_closes)
};

// All that a base has.
struct socket_records {
    fd_table by_descriptor;
    record_block *blocks; // the one with room first
    fd_table kept;        // received_bytes, of the descriptors that keep some
    accepted_note accepted;
    bool any_unwatched; // see socket_record
};

// The record of a source's descriptor: sources are made for one (source_init).
inline socket_record *socket_of(const source *of)
{
    return static_cast<socket_record *>(of->of);
}

// The descriptor's record, or NULL; the other one makes it, or is NULL for want of memory, and if it
// is none (is_handle).
socket_record *socket_find(backend *owner, evutil_socket_t fd);
socket_record *socket_obtain(backend *owner, evutil_socket_t fd);
// The socket is closed, or has become another one: nothing that is known of it holds for the next. The poll, whose
// interest libevent keeps by number, stays.
void socket_begin_life(socket_record *self);
// A file that its program had back, and closed by itself, may have left its number to a socket, which is none of what is
// known of the file.
void socket_forget_file(socket_record *self);
// The base is about to end: no other thread is led to it by a descriptor any more.
void sockets_unregister(backend *owner);
void sockets_free(backend *owner);
// All of a base, as by fd_table_next.
socket_record *socket_next(const backend *owner, size_t *at);

// Puts the socket on the base's port, if it is not there already. False: it cannot be there (it is on another port, or its
// provider does not reach ports).
bool socket_bind(backend *owner, evutil_socket_t fd);
// The same for a file, of which sys::file_transport has said what it is. 0, or why it cannot be there.
int socket_bind_file(backend *owner, evutil_socket_t fd, sys::transport by);
// Its program has the socket back (of a bufferevent or a listener), and had no chance yet to close it: takes it off the
// port, so that another base or a port of the program's own may have it. It stays where Windows cannot do that, and
// while anything is in flight on it or kept. A file that stays is closed by its program in ways that we do not see: for
// its number, evutil_closesocket need not ask this base any more, unless something is in flight or kept.
void socket_leave_port(socket_record *self);
// True if the descriptor has become another socket, or file, since it was bound. (It is bound then.)
bool socket_is_stale(backend *owner, evutil_socket_t fd, sys::transport by = sys::transport::socket);

// One source a descriptor, whose owner must have bound it. False if it has one.
bool socket_set_source(source *added);
void socket_clear_source(source *removed);
source *socket_own_source(backend *owner, evutil_socket_t fd);

// Something of the socket is to be seen to before it is closed by evutil_closesocket, or no longer.
bool socket_register(socket_record *self);
void socket_unregister(socket_record *self);
void socket_unregister_unused(socket_record *self);

// A listener has brought this connection, which does not block. True of the last one, when asked in the same turn of
// the loop, once, and unless it was closed meanwhile: it is what it was then.
void socket_note_accepted(backend *owner, evutil_socket_t fd);
bool socket_was_just_accepted(backend *owner, evutil_socket_t fd);

// Takes the bytes over if true: the owner has bound the socket, and nothing is kept for it yet. `back`: they are handed
// back by who took them, which is refused when the descriptor has become another socket since.
bool socket_keep_early(backend *owner, evutil_socket_t fd, received_bytes *early, bool back);
// The same, of bytes that another base had kept: the socket need not be on a port of this one.
bool socket_keep_moved(backend *owner, evutil_socket_t fd, received_bytes *early);
// Anything is kept, of any base of the process, or of one that was freed.
bool sockets_keep_any();
bool socket_came_early(backend *owner, evutil_socket_t fd);
bool socket_has_early(backend *owner, evutil_socket_t fd);
// NULL: there is nothing. The first only looks at it.
const received_bytes *socket_early(const socket_record *self);
received_bytes *socket_take_early(backend *owner, evutil_socket_t fd);

} // namespace iocp

#endif
