// What a base knows of one descriptor: the only record of it.
//
// A record belongs to the base, and lives as long: libevent's map of descriptors keeps a pointer to it. What it says
// belongs to one life of the descriptor, from the socket's first use to its close; the next socket under the same
// number begins anew (socket_begin_life).
//
// Threads: with the base's lock held, all of it.
#ifndef LIBEVENT_IOCP_BACKEND_SOCKET_RECORD_H
#define LIBEVENT_IOCP_BACKEND_SOCKET_RECORD_H

#include "backend/fd_table.h"
#include "backend/poll_socket.h"

namespace iocp {

struct lingering_on;
struct socket_record;

// Bytes that were received for whoever reads from the socket next.
struct early_data {
    char *bytes; // allocated by mm_malloc; NULL: none
    unsigned length;
    uint32_t connection; // whose they are, see sys::connection_mark; 0: they stay with this base
};

// Of a socket that outlives whoever used it (see socket_lingering.h).
struct lingering {
    LIST_HEAD(, lingering_on) operations; // in flight, and nobody waits for them
    TAILQ_ENTRY(socket_record) listed;    // the base's, of those that were closed
    uint32_t closed_ms;                   // when it was, by linger_now_ms
    unsigned char longer;                 // how many times more than others it may linger, see linger_longer
    bool is_listed : 1;
    bool close_asked : 1; // was closed, as far as its program knows
    bool shuts_down : 1;
    bool resets : 1; // has lingered for too long
};

// There is one for each descriptor that its base has ever used: what few of them need is allocated apart.
struct socket_record {
    backend *owner;
    evutil_socket_t fd;
    source *own;       // what a bufferevent or listener has brought for the descriptor; NULL: nothing
    poll_socket *poll; // for interest that does not go by `own`; NULL: there never was any
    lingering left;
    early_data early;
    unsigned life;
    short unwatched;          // interest that has no poll yet, for want of memory (see interest_retry)
    bool goes_by_own;         // EV_READ and EV_WRITE go by `own`, and not by the poll
    sys::transport transport; // a socket's until it is bound
    bool bound;               // the socket is on the base's port, which it joins once in its life
    bool reaches_port;        // its overlapped operations do
    bool skips_packets;       // those that are done at once leave no packet
    bool came_early;          // its connection came with data
    bool registered;          // see socket_registry.h
    bool has_listeners;       // or has had some: see listening_round.h
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
    accepted_note accepted;
    bool any_unwatched; // see socket_record
};

inline evutil_socket_t socket_descriptor(const socket_record *self)
{
    return self->fd;
}

// The descriptor's record, or NULL; the other one makes it, or is NULL for want of memory.
socket_record *socket_find(backend *owner, evutil_socket_t fd);
socket_record *socket_obtain(backend *owner, evutil_socket_t fd);
// The socket is closed, or has become another one: nothing that is known of it holds for the next. The poll, whose
// interest libevent keeps by number, stays.
void socket_begin_life(socket_record *self);
// A file that its program had back, and closed by itself, may have left its number to a socket, which is none of what is
// known of the file.
void socket_forget_file(socket_record *self);
void sockets_free(backend *owner);
// All of a base, as by fd_table_next.
socket_record *socket_next(const backend *owner, size_t *at);

// Puts the socket on the base's port, if it is not there already. Says whether its operations that are done at once
// leave no packet. False: it cannot be there (it is on another port, or its provider does not reach ports).
bool socket_bind(backend *owner, evutil_socket_t fd, bool *skips_packets);
// The same for a file, of which sys::file_transport has said what it is. 0, or why it cannot be there.
int socket_bind_file(backend *owner, evutil_socket_t fd, sys::transport by, bool *skips_packets);
// Its program has the socket back (of a bufferevent or a listener), and had no chance yet to close it: takes it off the
// port, so that another base or a port of the program's own may have it. It stays where Windows cannot do that, and
// while anything is in flight on it or kept. A file that stays is closed by its program in ways that we do not see: for
// its number, evutil_closesocket need not ask this base any more, unless something is in flight or kept.
void socket_leave_port(socket_record *self);
// True if the descriptor has become another socket since it was bound. (It is bound then.)
bool socket_is_stale(backend *owner, evutil_socket_t fd);

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
bool socket_keep_early(backend *owner, evutil_socket_t fd, early_data early, bool back);
// The same, of bytes that another base had kept: the socket need not be on a port of this one.
bool socket_keep_moved(backend *owner, evutil_socket_t fd, early_data early);
// Anything is kept, of any base of the process.
bool sockets_keep_any();
bool socket_came_early(backend *owner, evutil_socket_t fd);
bool socket_has_early(backend *owner, evutil_socket_t fd);
early_data socket_take_early(backend *owner, evutil_socket_t fd);

} // namespace iocp

#endif
