#include "bufferevent/stream_queue.h"
#include "bufferevent/stream_receive.h"
#include "bufferevent/stream_send.h"

namespace iocp {

namespace {

// Sends that one flush starts: more than one only if the kernel takes less than it is given.
constexpr int max_sends = 16;

int fail(int error)
{
    WSASetLastError(error);
    return -1;
}

// For the length of a function.
struct base_locked {
    struct event_base *base;
    explicit base_locked(const stream *self) : base(self->face.owner != nullptr ? self->face.owner->base : nullptr)
    {
        if (base != nullptr)
            EVBASE_ACQUIRE_LOCK(base, th_base_lock);
    }
    ~base_locked()
    {
        if (base != nullptr)
            EVBASE_RELEASE_LOCK(base, th_base_lock);
    }
    base_locked(const base_locked &) = delete;
    base_locked &operator=(const base_locked &) = delete;
};

// 0 if bytes can move: the base is there, and the socket is connected as far as we know.
int not_ready(stream *self)
{
    if (self->face.owner == nullptr)
        return WSAENOTCONN;
    if (self->connect == connect_state::none)
        return 0;
    int outcome = stream_connect_outcome(self);
    if (outcome > 0)
        return 0;
    return outcome == 0 ? WSAEWOULDBLOCK : WSAGetLastError();
}

size_t queued_length(const stream *self)
{
    return self->queued != nullptr ? evbuffer_get_length(self->queued) : 0;
}

void flush(stream *self)
{
    if (self->connect != connect_state::none || self->face.owner->draining)
        return;
    for (int sends = 0; queued_length(self) > 0 && sends < max_sends; ++sends) {
        if (stream_send_locked(self, self->queued) >= 0)
            continue;
        int error = WSAGetLastError();
        if (error != WSAEWOULDBLOCK) {
            self->queue_error = error;
            evbuffer_drain(self->queued, queued_length(self));
        }
        return;
    }
}

// The bytes that are not in flight yet, in one piece. NULL: none, or no memory.
struct evbuffer *copy_rest(stream *self, size_t in_flight)
{
    size_t length = queued_length(self) - in_flight;
    struct evbuffer *rest = length > 0 ? evbuffer_new() : nullptr;
    struct evbuffer_ptr from;
    struct evbuffer_iovec space;
    if (rest == nullptr)
        return nullptr;
    if (evbuffer_ptr_set(self->queued, &from, in_flight, EVBUFFER_PTR_SET) == 0 &&
        evbuffer_reserve_space(rest, static_cast<ev_ssize_t>(length), &space, 1) == 1) {
        space.iov_len = length;
        evbuffer_copyout_from(self->queued, &from, space.iov_base, length);
        evbuffer_commit_space(rest, &space, 1);
        return rest;
    }
    evbuffer_free(rest);
    return nullptr;
}

// Starts to send what is left and lets it end by itself. The bytes go with it: chains that the kernel reads are freed by
// its packet. True if anything is in flight.
bool let_queue_go(stream *self, bool closes)
{
    if (self->queued == nullptr)
        return false;
    send_operation *last = nullptr;
    if (self->face.owner != nullptr && !self->face.owner->draining) {
        flush(self);
        struct evbuffer *rest = copy_rest(self, stream_send_in_flight(self));
        last = stream_send_abandon(self);
        send_operation *orphan = rest != nullptr ? stream_send_orphan(self, rest) : nullptr;
        last = orphan != nullptr ? orphan : last;
    }
    evbuffer_free(self->queued);
    self->queued = nullptr;
    if (last != nullptr && closes)
        send_operation_closes(last);
    return last != nullptr;
}

} // namespace

int stream_take(stream *self, char *into, int at_most)
{
    base_locked locked(self);
    int error = not_ready(self);
    return error == 0 ? stream_receive_take(self, into, at_most) : fail(error);
}

int stream_put(stream *self, const char *bytes, int length)
{
    base_locked locked(self);
    int error = not_ready(self);
    if (error != 0)
        return fail(error);
    if (stream_send_has_ended(self) || queued_length(self) >= max_queued)
        flush(self);
    if (self->queue_error != 0)
        return fail(self->queue_error);
    if (queued_length(self) >= max_queued)
        return fail(WSAEWOULDBLOCK);
    if (self->queued == nullptr)
        self->queued = evbuffer_new();
    if (self->queued == nullptr || evbuffer_add(self->queued, bytes, static_cast<size_t>(length)) != 0)
        return fail(WSAENOBUFS);
    source_queue(&self->face); // if nobody flushes, the next turn does
    return length;
}

int stream_flush(stream *self)
{
    base_locked locked(self);
    if (self->face.owner == nullptr)
        return 0;
    flush(self);
    return self->queue_error == 0 ? 0 : fail(self->queue_error);
}

bool stream_queue_has_room(const stream *self)
{
    return self->queued != nullptr ? queued_length(self) < max_queued : stream_send_ready(self);
}

bool stream_queue_waits(const stream *self)
{
    return queued_length(self) > 0 && stream_send_ready(self);
}

void stream_queue_submit(stream *self)
{
    if (self->queued != nullptr)
        flush(self);
}

bool stream_queue_linger(stream *self)
{
    return let_queue_go(self, true);
}

void stream_queue_drop(stream *self)
{
    let_queue_go(self, false);
}

} // namespace iocp
