#include "bufferevent/stream_queue.h"
#include "bufferevent/send_operation.h"
#include "bufferevent/stream_receive.h"
#include "bufferevent/stream_send.h"

namespace iocp {

namespace {

// Sends that one flush starts: more than one only if they end at once.
constexpr int max_sends = 16;

// Of the queue's chains, once there are some: with libevent's header, a block of 16 KiB.
constexpr size_t chain_size = 16 * 1024 - 64;
static_assert(max_queued / (chain_size / 2) + 5 <= max_gathered, "a full queue is one send: each is filled by half");

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
    return self->queue != nullptr && self->queue->bytes != nullptr ? evbuffer_get_length(self->queue->bytes) : 0;
}

// With those in flight.
bool queue_is_full(const stream *self, size_t most = max_queued)
{
    return queue_length(self) + stream_send_in_flight(self) >= most;
}

void queue_flush(stream *self)
{
    if (self->connect != connect_state::none || stream_owner(self)->draining)
        return;
    for (int sends = 0; queue_length(self) > 0 && sends < max_sends; ++sends) {
        if (stream_send_locked(self, self->queue->bytes) >= 0)
            continue;
        int error = WSAGetLastError();
        if (error == WSAEWOULDBLOCK)
            return;
        self->send_error = stream_error(error);
        // OpenSSL thinks them sent. (Shut down by its program, it has ended behind what is on its way.)
        if (error != WSAESHUTDOWN)
            socket_of(&self->as_source)->resets = true;
        evbuffer_drain(self->queue->bytes, queue_length(self));
    }
}

// NULL for want of memory.
stream_queue *queue_of(stream *self)
{
    if (self->queue == nullptr)
        self->queue = static_cast<stream_queue *>(mm_calloc(1, sizeof(stream_queue)));
    return self->queue;
}

struct evbuffer *queue_bytes(stream *self)
{
    stream_queue *queue = queue_of(self);
    if (queue != nullptr && queue->bytes == nullptr)
        queue->bytes = evbuffer_new();
    return queue != nullptr ? queue->bytes : nullptr;
}

// False for want of memory. A full queue has no more chains than one send gathers, however short the records are: beyond
// the first, libevent's own would be of 4 KiB.
bool queue_add(struct evbuffer *queued, const char *bytes, size_t length)
{
    bool is_long = evbuffer_get_length(queued) >= chain_size / 2;
    const struct evbuffer_chain *last = is_long ? *queued->last_with_datap : nullptr;
    if (!is_long || length > chain_size || last->buffer_len - static_cast<size_t>(last->misalign) - last->off >= length)
        return evbuffer_add(queued, bytes, length) == 0;
    struct evbuffer_iovec into;
    if (evbuffer_reserve_space(queued, static_cast<ev_ssize_t>(chain_size), &into, 1) != 1)
        return false;
    memcpy(into.iov_base, bytes, length);
    into.iov_len = length;
    return evbuffer_commit_space(queued, &into, 1) == 0;
}

} // namespace

bool stream_set_seen_by(stream *self, stream_sight *by)
{
    stream_queue *queue = queue_of(self);
    if (queue == nullptr)
        return false;
    queue->seen_by = by;
    stream_sight_forget_end(by);
    by->used = self;
    return true;
}

bool stream_is_seen(const stream *self)
{
    return self->queue != nullptr && self->queue->seen_by != nullptr;
}

void stream_will_close_under(const stream *self)
{
    if (stream_is_seen(self))
        self->queue->seen_by->is_closed_under = true;
}

void stream_unseen(stream *self, bool closing)
{
    if (!stream_is_seen(self))
        return;
    stream_sight *by = self->queue->seen_by;
    by->is_closed = closing;
    by->leaves_rest = closing && (queue_length(self) > 0 || stream_sending(self) != nullptr);
    by->used = nullptr;
    self->queue->seen_by = nullptr;
}

int stream_take(stream *self, char *into, int at_most)
{
    int error = queue_is_not_ready(self);
    return error == 0 ? stream_receive_take(self, into, at_most) : queue_fail(error);
}

int stream_put(stream *self, const char *bytes, int length, bool is_last)
{
    int error = queue_is_not_ready(self);
    if (error != 0)
        return queue_fail(error);
    if (queue_is_full(self))
        queue_flush(self);
    if (self->send_error != 0)
        return queue_fail(self->send_error);
    if (queue_is_full(self, is_last ? max_queued_at_last : max_queued))
        return queue_fail(WSAEWOULDBLOCK);
    struct evbuffer *queued = queue_bytes(self);
    if (queued == nullptr || !queue_add(queued, bytes, static_cast<size_t>(length)))
        return queue_fail(WSAENOBUFS);
    source_queue(&self->as_source); // if nobody flushes, the next turn does
    struct event_base *base = stream_owner(self)->base;
    if (!base->running_loop)
        queue_flush(self); // there may be none
    else if (EVBASE_NEED_NOTIFY(base))
        base_wake(base); // it may be asleep: a program's own SSL_write, in another thread
    return length;
}

int stream_flush(stream *self)
{
    queue_flush(self);
    return self->send_error == 0 ? 0 : queue_fail(self->send_error);
}

bool stream_queue_has_room(const stream *self)
{
    return stream_send_ready(self) && !queue_is_full(self);
}

bool stream_queue_waits(const stream *self)
{
    return queue_length(self) > 0 && stream_send_ready(self);
}

void stream_queue_submit(stream *self)
{
    if (self->queue != nullptr)
        queue_flush(self);
}

void stream_queue_let_go(stream *self)
{
    queue_flush(self);
    stream_unseen(self, false);
    struct evbuffer *rest = self->queue != nullptr ? self->queue->bytes : nullptr;
    free_if_any(self->queue);
    self->queue = nullptr;
    stream_send_let_go(self, rest);
}

} // namespace iocp
