// A source is what one socket is to its base: something that turns interest (EV_READ, EV_WRITE, EV_CLOSED) into
// readiness. A plain event's socket is a poll_socket; a bufferevent's or a listener's socket brings its own source,
// whose readiness comes from overlapped operations (see socket_set_source).
//
// Readiness is level-triggered. A source whose interest changed, or that was ready, is queued: in its base's list of
// changed sources first, and as long as it has something to start, in one of those of sources to start (see submit.h).
//
// Threads: all of it with the base's lock held.
#ifndef LIBEVENT_IOCP_BACKEND_SOURCE_H
#define LIBEVENT_IOCP_BACKEND_SOURCE_H

#include "backend/fd_table.h"

namespace iocp {

struct source;

constexpr short source_events = EV_READ | EV_WRITE | EV_CLOSED;

// Where a source is queued.
enum class source_place : unsigned char {
    nowhere,
    changed,   // may be ready
    starting,  // has something to start
    receiving, // has, and is less likely to have to wait for it if it is done a little later
    polling,   // the same, and it is a poll_socket
    hinted,    // a poll_socket whose poll has ended: see poll_may_be_old
};

struct source_ops {
    // Interest was added; `first` after there was none. Returns 0, or a Winsock code to refuse the socket.
    int (*widened)(source *self, bool first);
    // Interest was taken away; self->wanted is what is left.
    void (*narrowed)(source *self);
    // Which events are ready, as far as that is known without a call into the kernel.
    short (*ready)(const source *self);
    // Starts what self->wanted needs, returns the events of it that are ready now.
    short (*submit)(source *self);
    // The base is freed, and nothing is in flight any more: `of` is gone when this returns.
    void (*base_ends)(source *self);
    // Where it waits to be submitted: starting, receiving or polling; nowhere if there is nothing to start.
    source_place (*waits_in)(const source *self);
    // Its memory is freed by the loop's next turn (source_free_later): what else goes then. NULL: nothing does.
    void (*freed)(source *self);
};

TAILQ_HEAD(source_list, source);

struct source {
    const source_ops *ops;
    owned_descriptor *of; // what its base knows of the descriptor (see socket_of); NULL: its base is gone
    TAILQ_ENTRY(source) queued;
    unsigned sent_in_round; // see send_round.h; 0: never
    short wanted;
    source_place place;
    bool in_use : 1;       // its readiness is what the descriptor's events go by
    bool waits : 1;        // has been queued to be started, and not been started since
    bool may_give_way : 1; // to its program, where that waits for the descriptor by an event of its own: see
    bool gives_way : 1;    // stream_note_event. It does
};

inline backend *source_owner(const source *self)
{
    return self->of->owner;
}

inline evutil_socket_t source_descriptor(const source *self)
{
    return self->of->fd;
}

void source_init(source *self, const source_ops *ops, owned_descriptor *of);
// For a source's table: it always has something to start.
source_place source_polls(const source *self);
// Will be looked at in the base's next turn.
void source_queue(source *self);
void source_queue_in(source *self, source_place place);
void source_unqueue(source *self);
// Activates the events that wait for any of `ready`, and queues the source again: it may be ready still.
void source_ready(source *self, short ready);
// Will be asked whether it is ready before the loop waits or runs callbacks.
void source_hint(source *self);
// Activates the events that wait for any of `ready`, of one that its caller queues. The base is not being freed.
void source_tell(source *self, short ready);
// Starts what it needs, and it waits for that no longer. True if it is ready, and has been activated.
bool source_start(source *self);

// Frees the memory that begins with the source, and what goes with it, in the loop's next turn: until then a callback that
// runs in the loop's thread may look at what another thread has let go.
void source_free_later(source *self);
void sources_free(backend *owner);

} // namespace iocp

#endif
