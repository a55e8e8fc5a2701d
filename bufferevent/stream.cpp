#include "bufferevent/stream.h"
#include "backend/socket_interest.h"
#include "backend/socket_record.h"
#include "bufferevent/stream_connect.h"
#include "bufferevent/stream_queue.h"
#include "bufferevent/stream_receive.h"
#include "bufferevent/stream_send.h"

namespace iocp {

namespace {

// Few have a queue: the others are not to pay for it.
bool stream_has_queued(const stream *self)
{
    return self->queue != nullptr && stream_queue_waits(self);
}

bool stream_may_send(const stream *self)
{
    return self->queue != nullptr ? stream_queue_has_room(self) : stream_send_ready(self);
}

int stream_widened(source *, bool)
{
    return 0;
}

void stream_narrowed(source *as_source)
{
    if (as_source->wanted == 0 && !stream_has_queued(stream_of(as_source)))
        source_unqueue(as_source);
    if ((as_source->wanted & EV_READ) == 0)
        stream_receive_rest(stream_of(as_source));
}

// Who connects hears of the outcome from the stream: a socket does not tell it of a ConnectEx.
bool stream_gives_way(const stream *self)
{
    return self->as_source.gives_way && self->connect == connect_state::none;
}

// Not where the event is added: another thread may do that amid a read or write in the loop's. The polls that take its place
// are started by the next turn, and packets that were waited for in between are told of then.
void stream_give_way(stream *self)
{
    backend *owner = stream_owner(self);
    socket_is_stale(owner, stream_descriptor(self)); // then what it holds is another connection's
    stream_release(self, false);
    owner->loop.has_more = true;
}

short stream_ready(const source *as_source)
{
    auto *self = reinterpret_cast<const stream *>(as_source);
    short ready = 0;
    if (self->connect == connect_state::pending || stream_gives_way(self))
        return 0;
    if (self->connect == connect_state::none && stream_receive_ready(self))
        ready |= EV_READ;
    if (stream_may_send(self) && !self->send_again && !stream_has_queued(self))
        ready |= EV_WRITE;
    return ready;
}

source_place stream_waits_in(const source *as_source)
{
    auto *self = reinterpret_cast<const stream *>(as_source);
    if (stream_has_queued(self) || stream_gives_way(self))
        return source_place::starting;
    bool receives = (as_source->wanted & EV_READ) != 0 && self->connect == connect_state::none &&
                    self->receive != receive_state::pending && !stream_receive_ready(self);
    bool sends_again = (as_source->wanted & EV_WRITE) != 0 && self->send_again;
    return receives || sends_again ? source_place::receiving : source_place::nowhere;
}

short stream_submit(source *as_source)
{
    stream *self = stream_of(as_source);
    short ready = 0;
    if (self->connect == connect_state::pending)
        return 0;
    if (stream_gives_way(self)) {
        stream_give_way(self);
        return 0;
    }
    if (self->queue != nullptr)
        stream_queue_submit(self);
    if (stream_has_queued(self)) { // a shortage
        self->send_again = false;
        source_owner(as_source)->loop.retry_soon = true;
        source_queue(as_source);
    }
    if ((as_source->wanted & EV_READ) != 0 && self->connect == connect_state::none && stream_receive_submit(self))
        ready |= EV_READ;
    if ((as_source->wanted & EV_WRITE) != 0 && stream_may_send(self)) {
        if (self->send_again) {
            self->send_again = false;
            source_owner(as_source)->loop.retry_soon = true;
            source_queue(as_source);
        } else {
            ready |= EV_WRITE;
        }
    }
    return ready;
}

void stream_freed(source *as_source)
{
    received_free(stream_of(as_source)->received);
}

// A bufferevent that is freed after its base finds no stream.
void stream_base_ends(source *as_source)
{
    stream *self = stream_of(as_source);
    stream_unseen(self, false);
    if (source_owner(as_source)->port->in_flight.count != 0)
        return; // what the kernel has not given back points to it
    stream_receive_let_go(self, true);
    stream_queue_let_go(self);
    stream_freed(as_source);
    mm_free(self);
}

const source_ops stream_ops = {stream_widened,   stream_narrowed, stream_ready, stream_submit,
                               stream_base_ends, stream_waits_in, stream_freed};

// Of a descriptor's own source, if it has one.
stream *stream_from_own(source *own)
{
    return own != nullptr && own->ops == &stream_ops ? stream_of(own) : nullptr;
}

// What came with the connection is read first, even if the program had an event of its own there before.
void stream_take_early(stream *self)
{
    received_bytes *early = socket_take_early(stream_owner(self), stream_descriptor(self));
    if (early == nullptr)
        return;
    stream_receive_hold(self, early);
    interest_take_over(&self->as_source);
}

stream *stream_new(backend *owner, evutil_socket_t fd, const void *holder)
{
    socket_record *record = socket_obtain(owner, fd);
    auto *self = record != nullptr ? static_cast<stream *>(mm_calloc(1, sizeof(stream))) : nullptr;
    if (self == nullptr)
        return nullptr;
    source_init(&self->as_source, &stream_ops, record);
    stream_receive_init(self);
    self->holder = holder;
    return self;
}

// Of what it has left, no poll knows: who waits for the descriptor (and was not the stream's holder) is told now.
void stream_tell_of_kept(const stream *self, bool was_read)
{
    const backend *owner = stream_owner(self);
    if (was_read && socket_of(&self->as_source)->keeps_early && !owner->draining)
        evmap_io_active_(owner->base, stream_descriptor(self), EV_READ);
}

// Of a stream's kind, and connected.
bool stream_is_connected(SOCKET socket)
{
    int type = 0;
    return sys::socket_type(socket, &type) == 0 && type == SOCK_STREAM && sys::is_connected(socket);
}

} // namespace

void stream_early_is_lost(backend *owner, evutil_socket_t fd)
{
    if (socket_has_early(owner, fd))
        sys::end_connection(static_cast<SOCKET>(fd));
}

stream *stream_attach(backend *owner, evutil_socket_t fd, const void *holder, bool to_connect)
{
    auto socket = static_cast<SOCKET>(fd);
    // As a rule, a bufferevent is made for a connection in the callback that brings it, and nothing need be asked.
    bool just_accepted = socket_was_just_accepted(owner, fd);
    // Nor when bytes are kept for it, even if the connection has been reset since.
    bool is_known = to_connect || just_accepted || socket_has_early(owner, fd);
    if (owner->draining || (!is_known && !stream_is_connected(socket)))
        return nullptr;
    stream *self = stream_new(owner, fd, holder);
    if (self == nullptr)
        return nullptr;
    self->looks_first = just_accepted;
    if (!socket_bind(owner, fd) || !socket_set_source(&self->as_source)) {
        mm_free(self);
        return nullptr;
    }
    rounds_count(&owner->rounds, 1);
    if (to_connect)
        interest_take_over(&self->as_source);
    else
        socket_of(&self->as_source)->was_connected = true;
    stream_take_early(self);
    return self;
}

stream *stream_attach_file(backend *owner, evutil_socket_t fd, const void *holder, sys::transport by, bool never_ahead)
{
    stream *self = owner->draining ? nullptr : stream_new(owner, fd, holder);
    int error = WSAENOBUFS;
    if (self != nullptr)
        error = socket_bind_file(owner, fd, by);
    if (error == 0 && !socket_set_source(&self->as_source))
        error = stream_find(owner, fd) != nullptr ? WSAEALREADY : WSAENOBUFS;
    if (error != 0) {
        free_if_any(self);
        socket_record *record = socket_find(owner, fd);
        if (record != nullptr)
            socket_leave_port(record); // the handle is as it was
        WSASetLastError(error);
        return nullptr;
    }
    self->is_file = true;
    self->never_ahead = never_ahead;
    rounds_count(&owner->rounds, 1);
    stream_take_early(self);
    return self;
}

bool stream_displace(backend *owner, evutil_socket_t fd, const void *holder)
{
    stream *other = stream_find(owner, fd);
    // From another thread the loop may be about to use it, in a callback of its holder's, whose lock is not ours.
    if (other == nullptr || other->holder == holder || EVBASE_NEED_NOTIFY(owner->base))
        return false;
    if (socket_is_stale(owner, fd)) // what it holds is another connection's
        stream_release(other, false);
    else if (!other->is_file)
        stream_step_aside(other);
    return stream_find(owner, fd) == nullptr;
}

bool stream_note_event(const socket_record *of, const struct event *added)
{
    stream *self = stream_from_own(of->own);
    if (self == nullptr || !self->as_source.may_give_way || (added->ev_events & (EV_READ | EV_WRITE)) == 0)
        return false;
    auto *holder = static_cast<const struct bufferevent *>(self->holder);
    if (added == &holder->ev_read || added == &holder->ev_write)
        return false;
    self->as_source.gives_way = true;
    source_queue(&self->as_source);
    return true;
}

void stream_release(stream *self, bool closing)
{
    EVUTIL_ASSERT(stream_is_attached(self));
    backend *owner = stream_owner(self);
    bool was_read = !closing && self->as_source.in_use && (self->as_source.wanted & EV_READ) != 0;
    if (closing)
        interest_close(&self->as_source);
    else
        interest_fall_back(&self->as_source);
    socket_clear_source(&self->as_source);
    rounds_count(&owner->rounds, -1);
    stream_unseen(self, closing);
    stream_receive_let_go(self, closing);
    stream_queue_let_go(self);
    stream_connect_let_go(self);
    stream_tell_of_kept(self, was_read);
    if (!closing)
        socket_leave_port(socket_of(&self->as_source));
    if (!self->receiving.pending) // else by its packet
        source_free_later(&self->as_source);
}

stream *stream_find(backend *owner, evutil_socket_t fd)
{
    return stream_from_own(socket_own_source(owner, fd));
}

} // namespace iocp
