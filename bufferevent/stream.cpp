#include "bufferevent/stream.h"
#include "backend/fd_record.h"
#include "backend/socket_registry.h"
#include "bufferevent/stream_connect.h"
#include "bufferevent/stream_queue.h"
#include "bufferevent/stream_receive.h"
#include "bufferevent/stream_send.h"

namespace iocp {

namespace {

int stream_widened(source *, bool)
{
    return 0;
}

void stream_narrowed(source *face)
{
    if (face->wanted == 0 && !stream_queue_waits(stream_of(face)))
        source_unqueue(face);
    if ((face->wanted & EV_READ) == 0)
        stream_receive_rest(stream_of(face));
}

short stream_ready(const source *face)
{
    auto *self = reinterpret_cast<const stream *>(face);
    short ready = 0;
    if (self->connect == connect_state::pending)
        return 0;
    if (self->connect == connect_state::none && stream_receive_ready(self))
        ready |= EV_READ;
    if (stream_queue_has_room(self) && !self->send_again && !stream_queue_waits(self))
        ready |= EV_WRITE;
    return ready;
}

source_place stream_waits_in(const source *face)
{
    auto *self = reinterpret_cast<const stream *>(face);
    if (stream_queue_waits(self))
        return source_place::starting;
    bool receives = (face->wanted & EV_READ) != 0 && self->connect == connect_state::none &&
                    self->receive != receive_state::pending && !stream_receive_ready(self);
    bool sends_again = (face->wanted & EV_WRITE) != 0 && self->send_again;
    return receives || sends_again ? source_place::receiving : source_place::nowhere;
}

short stream_submit(source *face)
{
    stream *self = stream_of(face);
    short ready = 0;
    if (self->connect == connect_state::pending)
        return 0;
    stream_queue_submit(self);
    if (stream_queue_waits(self)) { // a shortage
        self->send_again = false;
        face->owner->retry_soon = true;
        source_queue(face);
    }
    if ((face->wanted & EV_READ) != 0 && self->connect == connect_state::none && stream_receive_submit(self))
        ready |= EV_READ;
    if ((face->wanted & EV_WRITE) != 0 && stream_queue_has_room(self)) {
        if (self->send_again) {
            self->send_again = false;
            face->owner->retry_soon = true;
            source_queue(face);
        } else {
            ready |= EV_WRITE;
        }
    }
    return ready;
}

bool is_connected_stream(SOCKET socket)
{
    int type = 0;
    return sys::socket_type(socket, &type) == 0 && type == SOCK_STREAM && sys::is_connected(socket);
}

const source_ops stream_ops = {stream_widened, stream_narrowed, stream_ready, stream_submit, stream_waits_in};

// What came with the connection is read first. A connection whose first bytes are lost must not go on as if they had
// not been sent.
void take_early(stream *self)
{
    early_data early = socket_take_early(self->face.owner, self->face.fd);
    if (early.bytes == nullptr || stream_receive_hold(self, early))
        return;
    mm_free(early.bytes);
    sys::end_connection(static_cast<SOCKET>(self->face.fd));
}

} // namespace

stream *stream_attach(backend *owner, evutil_socket_t fd, const void *holder, bool owned, bool to_connect)
{
    auto socket = static_cast<SOCKET>(fd);
    // As a rule, a bufferevent is made for a connection in the callback that brings it, and nothing need be asked.
    bool just_accepted = socket_was_just_accepted(owner, fd);
    if (owner->draining || (!to_connect && !just_accepted && !is_connected_stream(socket)))
        return nullptr;
    auto *self = static_cast<stream *>(mm_calloc(1, sizeof(stream)));
    if (self == nullptr)
        return nullptr;
    source_init(&self->face, &stream_ops, owner, fd);
    self->holder = holder;
    self->may_prefetch = owned;
    self->looks_first = owned && just_accepted;
    if (!socket_bind(owner, fd, &self->skips_packets) || !socket_set_source(&self->face)) {
        mm_free(self);
        return nullptr;
    }
    if (to_connect)
        fd_record_take_over(owner, &self->face);
    take_early(self);
    return self;
}

void stream_release(stream *self, bool output_lives)
{
    backend *owner = self->face.owner;
    if (owner != nullptr) {
        fd_record_fall_back(owner, &self->face);
        socket_clear_source(&self->face);
    }
    stream_receive_drop(self, output_lives);
    stream_queue_drop(self);
    stream_send_drop(self, output_lives && owner != nullptr);
    stream_connect_drop(self);
    mm_free(self);
}

void stream_detach(stream *self, bool output_lives)
{
    backend *owner = self->face.owner;
    if (owner != nullptr)
        EVBASE_ACQUIRE_LOCK(owner->base, th_base_lock);
    stream_release(self, output_lives);
    if (owner != nullptr)
        EVBASE_RELEASE_LOCK(owner->base, th_base_lock);
}

void stream_step_aside(stream *self)
{
    backend *owner = self->face.owner;
    if (owner != nullptr)
        EVBASE_ACQUIRE_LOCK(owner->base, th_base_lock);
    if (self->connect == connect_state::pending)
        self->steps_aside = true;
    else
        stream_release(self, true);
    if (owner != nullptr)
        EVBASE_RELEASE_LOCK(owner->base, th_base_lock);
}

bool stream_closing(stream *self)
{
    backend *owner = self->face.owner;
    if (owner == nullptr)
        return false;
    EVBASE_ACQUIRE_LOCK(owner->base, th_base_lock);
    stream_receive_cancel(self);
    bool lingers = stream_queue_linger(self);
    EVBASE_RELEASE_LOCK(owner->base, th_base_lock);
    return lingers;
}

stream *stream_find(evutil_socket_t fd)
{
    source *found = socket_find_source(fd);
    return found != nullptr && found->ops == &stream_ops ? stream_of(found) : nullptr;
}

stream *stream_in_use(evutil_socket_t fd)
{
    stream *found = stream_find(fd);
    return found != nullptr && found->face.in_use ? found : nullptr;
}

} // namespace iocp
