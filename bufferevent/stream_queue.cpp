#include "bufferevent/stream_queue.h"
#include "bufferevent/stream_receive.h"
#include "bufferevent/stream_send.h"

namespace iocp {

namespace {

// Sends that one flush starts: more than one only if they end at once.
constexpr int max_sends = 16;

int queue_fail(int error)
{
    WSASetLastError(error);
    return -1;
}

// 0 if bytes can move: the socket is connected as far as we know.
int queue_is_not_ready(stream *self)
{
    if (self->connect == connect_state::none)
        return 0;
    int outcome = stream_connect_outcome(self);
    if (outcome > 0)
        return 0;
    return outcome == 0 ? WSAEWOULDBLOCK : WSAGetLastError();
}

size_t queue_length(const stream *self)
{
    return self->queued != nullptr ? evbuffer_get_length(self->queued) : 0;
}

// With those in flight.
bool queue_is_full(const stream *self)
{
    return queue_length(self) + stream_send_in_flight(self) >= max_queued;
}

void queue_flush(stream *self)
{
    if (self->connect != connect_state::none || self->as_source.owner->draining)
        return;
    for (int sends = 0; queue_length(self) > 0 && sends < max_sends; ++sends) {
        if (stream_send_locked(self, self->queued) >= 0)
            continue;
        int error = WSAGetLastError();
        if (error == WSAEWOULDBLOCK)
            return;
        self->send_error = error;
        evbuffer_drain(self->queued, queue_length(self));
    }
}

} // namespace

int stream_take(stream *self, char *into, int at_most)
{
    base_locked locked(self->as_source.owner->base);
    int error = queue_is_not_ready(self);
    return error == 0 ? stream_receive_take(self, into, at_most) : queue_fail(error);
}

int stream_put(stream *self, const char *bytes, int length)
{
    base_locked locked(self->as_source.owner->base);
    int error = queue_is_not_ready(self);
    if (error != 0)
        return queue_fail(error);
    if (queue_is_full(self))
        queue_flush(self);
    if (self->send_error != 0)
        return queue_fail(self->send_error);
    if (queue_is_full(self))
        return queue_fail(WSAEWOULDBLOCK);
    if (self->queued == nullptr)
        self->queued = evbuffer_new();
    if (self->queued == nullptr || evbuffer_add(self->queued, bytes, static_cast<size_t>(length)) != 0)
        return queue_fail(WSAENOBUFS);
    source_queue(&self->as_source); // if nobody flushes, the next turn does
    if (!self->as_source.owner->base->running_loop)
        queue_flush(self); // there may be none
    return length;
}

int stream_flush(stream *self)
{
    base_locked locked(self->as_source.owner->base);
    queue_flush(self);
    return self->send_error == 0 ? 0 : queue_fail(self->send_error);
}

bool stream_queue_has_room(const stream *self)
{
    return self->queued != nullptr ? !queue_is_full(self) : stream_send_ready(self);
}

bool stream_queue_waits(const stream *self)
{
    return queue_length(self) > 0 && stream_send_ready(self);
}

void stream_queue_submit(stream *self)
{
    if (self->queued != nullptr)
        queue_flush(self);
}

void stream_queue_let_go(stream *self)
{
    queue_flush(self);
    struct evbuffer *rest = self->queued;
    self->queued = nullptr;
    stream_send_let_go(self, rest);
}

} // namespace iocp
