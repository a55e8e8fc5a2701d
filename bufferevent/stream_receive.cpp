#include "bufferevent/stream_receive.h"
#include "backend/transport.h"
#include "bufferevent/receive_operation.h"

namespace iocp {

namespace {

// A connection that may read less than this at a time is held back on purpose (rate limit, high watermark): nothing is
// received for it ahead of need. libevent's default allows this much.
constexpr unsigned unlimited_read = 16 * 1024;

// From here on a filled buffer is handed to the evbuffer as it is, rather than copied.
constexpr unsigned handover_size = 8 * 1024;

receive_operation *receive_from_completion(completion *operation)
{
    return reinterpret_cast<receive_operation *>(operation);
}

// A file that ends its receives at once with nothing, as a serial port can be told to, would be asked over and over; so
// would a driver that aborts them. (An empty message is gone once it is received.)
bool receive_was_in_vain(const stream *self, int error)
{
    if (self->receive != receive_state::none || self->transport == sys::transport::socket)
        return false;
    return error == 0 ? self->transport != sys::transport::messages : !self->receiving->operation.cancelled;
}

void receive_ended(completion *operation, int error, DWORD bytes)
{
    receive_operation *receiving = receive_from_completion(operation);
    stream *self = receiving->in_use.owner;
    receive_list_remove(&self->as_source.owner->streams.budget, receiving);
    self->receive = receive_outcome(receiving, error, bytes, &self->receive_error);
    self->receive_again = self->receive_again || receive_was_in_vain(self, error);
    source_ready(&self->as_source, self->receive == receive_state::none ? 0 : EV_READ);
}

void receive_freed(completion *operation, int, DWORD)
{
    receive_operation *receiving = receive_from_completion(operation);
    linger_end(&receiving->left);
    free_if_any(receiving->buffer);
    mm_free(receiving);
}

const completion_ops receive_ops = {operation_kind::receive, receive_ended, receive_freed};

receive_operation *receive_operation_for(stream *self)
{
    if (self->receiving != nullptr)
        return self->receiving;
    auto *receiving = static_cast<receive_operation *>(mm_calloc(1, sizeof(receive_operation)));
    if (receiving == nullptr)
        return nullptr;
    completion_init(&receiving->operation, &receive_ops);
    receiving->in_use.owner = self;
    self->receiving = receiving;
    if (self->receive_size == 0)
        self->receive_size = first_receive_size;
    return receiving;
}

bool receive_retry_later(stream *self)
{
    self->as_source.owner->loop.retry_soon = true;
    source_queue(&self->as_source);
    return false;
}

// Receives what is there into the operation's own buffer, where it is held.
void receive_fill(stream *self)
{
    backend *owner = self->as_source.owner;
    receive_operation *receiving = receive_operation_for(self);
    if (receiving == nullptr || !receive_allocate_buffer(owner, receiving, self->receive_size)) {
        self->receive = receive_state::none;
        self->receive_again = true;
        return;
    }
    WSABUF buffer = {receiving->in_use.capacity, receiving->buffer};
    DWORD bytes = 0;
    int error = sys::receive_now(static_cast<SOCKET>(self->as_source.fd), &buffer, 1, &bytes);
    if (error == WSAEWOULDBLOCK || error == WSAENOBUFS) {
        self->receive = receive_state::none;
        self->receive_again = error == WSAENOBUFS;
    } else {
        self->receive = receive_outcome(receiving, error, bytes, &self->receive_error);
    }
}

// For a file no more than is asked for now: the rest waits there.
unsigned receive_size_at_once(const stream *self)
{
    bool limited = self->transport != sys::transport::socket && self->read_limit < self->receive_size;
    return limited ? self->read_limit : self->receive_size;
}

// Nobody has called back what never started. A serial port with fAbortOnError aborts each call until its program clears
// the error (ClearCommError), of which it must hear.
void receive_settle_refused(stream *self, int error)
{
    if (self->transport == sys::transport::socket || self->receive != receive_state::none)
        return;
    self->receive = receive_state::failed;
    self->receive_error = error;
}

// `waits`: for data to come. If it does not, the receive has a buffer, since that is one call, and is called back if it
// would wait: no receive but an overlapped one is sure not to block, whatever the program did to its socket.
bool receive_start(stream *self, bool waits)
{
    backend *owner = self->as_source.owner;
    receive_operation *receiving = receive_operation_for(self);
    if (receiving == nullptr)
        return receive_retry_later(self);
    if (waits ? !receive_provide_buffer(self, receiving)
              : !receive_allocate_buffer(owner, receiving, receive_size_at_once(self)))
        return receive_retry_later(self);
    WSABUF buffer = {receiving->in_use.capacity, receiving->buffer};
    receiving->in_use.started_turn = static_cast<unsigned>(owner->loop.turn);
    sys::start_result result = transport_receive(self->transport, owner->port, &receiving->operation,
                                                 self->as_source.fd, &buffer, self->skips_packets);
    if (result.how == sys::started::pending) {
        self->receive = receive_state::pending;
        if (receiving->in_use.capacity > cold_receive_size) // a smaller one makes no room
            receive_list_append(&owner->streams.budget, receiving);
        if (!waits)
            completion_cancel(&receiving->operation);
        return false;
    }
    if (result.how == sys::started::failed && result.error == WSAENOBUFS)
        return receive_retry_later(self);
    self->receive = receive_outcome(receiving, result.error, result.bytes, &self->receive_error);
    if (result.how == sys::started::failed)
        receive_settle_refused(self, result.error);
    if (receive_was_in_vain(self, result.error))
        return receive_retry_later(self);
    return self->receive != receive_state::none;
}

// The first bytes of a connection that was just accepted have come already, or have not, as those of the last one had:
// that is up to its listener's protocol. A buffer in vain costs two calls, none in vain costs one.
bool receive_start_next(stream *self)
{
    bool *new_ones_wait = &self->as_source.owner->streams.new_ones_wait;
    bool is_new = self->looks_first;
    self->looks_first = false;
    bool found = receive_start(self, !is_new || *new_ones_wait);
    if (is_new)
        *new_ones_wait = self->receive == receive_state::pending;
    return found;
}

void receive_adapt_size(stream *self, unsigned asked, unsigned got)
{
    if (got == asked && self->receive_size * 2 <= self->read_limit)
        self->receive_size *= 2;
    else if (got < self->receive_size / 4 && self->receive_size > first_receive_size)
        self->receive_size /= 2;
    self->warm = self->read_limit >= unlimited_read;
    self->receipts = self->receipts == 0 ? 1 : 2;
}

int receive_add_held(stream *self, struct evbuffer *input, unsigned length)
{
    receive_operation *receiving = self->receiving;
    bool all_at_once = receiving->in_use.begin == 0 && length == receiving->in_use.end;
    if (!all_at_once || length < handover_size || length < receiving->in_use.capacity / 2)
        return evbuffer_add(input, receiving->buffer + receiving->in_use.begin, length);
    if (evbuffer_add_reference(input, receiving->buffer, length, receive_free_handed_over, nullptr) != 0)
        return -1;
    struct event_base *base = self->as_source.owner->base;
    {
        base_locked held(base);
        self->as_source.owner->streams.budget.spent -= receiving->in_use.capacity;
    }
    receiving->buffer = nullptr;
    receiving->in_use.capacity = 0;
    return 0;
}

int receive_take_held(stream *self, struct evbuffer *input, unsigned at_most)
{
    receive_operation *receiving = self->receiving;
    unsigned length = receiving->in_use.end - receiving->in_use.begin;
    bool limited = length > at_most;
    if (limited)
        length = at_most;
    unsigned capacity = receiving->in_use.capacity;
    if (receive_add_held(self, input, length) != 0) {
        WSASetLastError(WSAENOBUFS);
        return -1;
    }
    receiving->in_use.begin += length;
    if (limited)
        return static_cast<int>(length);
    receiving->in_use.came_early = false;
    self->receive = receive_state::none;
    receive_adapt_size(self, capacity, receiving->in_use.end);
    return static_cast<int>(length);
}

int receive_now(stream *self, struct evbuffer *input, unsigned at_most)
{
    unsigned wanted = self->receive_size != 0 ? self->receive_size : first_receive_size;
    if (wanted > at_most)
        wanted = at_most;
    struct evbuffer_iovec space;
    if (evbuffer_reserve_space(input, static_cast<ev_ssize_t>(wanted), &space, 1) != 1) {
        WSASetLastError(WSAENOBUFS);
        return -1;
    }
    WSABUF buffer = {wanted, static_cast<char *>(space.iov_base)};
    DWORD bytes = 0;
    int error = sys::receive_now(static_cast<SOCKET>(self->as_source.fd), &buffer, 1, &bytes);
    space.iov_len = error == 0 ? bytes : 0;
    if (evbuffer_commit_space(input, &space, 1) != 0)
        error = WSAENOBUFS;
    if (error != 0) {
        self->receive = receive_state::none;
        self->receive_again = error == WSAENOBUFS;
        WSASetLastError(self->receive_again ? WSAEWOULDBLOCK : error);
        return -1;
    }
    if (bytes == 0) {
        self->receive = receive_state::ended;
        return 0;
    }
    self->receive = receive_state::none;
    if (at_most > wanted || bytes < wanted)
        receive_adapt_size(self, wanted, bytes);
    return static_cast<int>(bytes);
}

// A file is read by overlapped calls alone, into the operation's own buffer: no other is sure not to block.
void receive_file_now(stream *self)
{
    base_locked held(self->as_source.owner->base);
    self->receive = receive_state::none;
    receive_start(self, false);
}

int receive_take_part(stream *self, char *into, int at_most)
{
    receive_operation *receiving = self->receiving;
    unsigned length = receiving->in_use.end - receiving->in_use.begin;
    if (length > static_cast<unsigned>(at_most))
        length = static_cast<unsigned>(at_most);
    memcpy(into, receiving->buffer + receiving->in_use.begin, length);
    receiving->in_use.begin += length;
    if (receiving->in_use.begin == receiving->in_use.end) {
        receiving->in_use.came_early = false;
        self->receive = receive_state::none;
        receive_adapt_size(self, receiving->in_use.capacity, receiving->in_use.end);
    }
    return static_cast<int>(length);
}

// The descriptor may live on, and another bufferevent read from it: what was received ahead of need is not lost.
void receive_give_back(stream *self, receive_operation *receiving)
{
    backend *owner = self->as_source.owner;
    early_data left = {receiving->buffer, receiving->in_use.end - receiving->in_use.begin, 0};
    if (self->transport == sys::transport::socket)
        left.connection = sys::connection_mark(static_cast<SOCKET>(self->as_source.fd));
    memmove(receiving->buffer, receiving->buffer + receiving->in_use.begin, left.length);
    if (socket_keep_early(owner, self->as_source.fd, left, receiving->in_use.came_early))
        receiving->buffer = nullptr;
}

} // namespace

bool stream_receive_hold(stream *self, early_data early)
{
    receive_operation *receiving = receive_operation_for(self);
    if (receiving == nullptr)
        return false;
    receiving->buffer = early.bytes;
    receiving->in_use.capacity = receiving->in_use.end = early.length;
    receiving->in_use.begin = 0;
    receiving->in_use.came_early = true;
    self->as_source.owner->streams.budget.spent += early.length;
    self->receive = receive_state::held;
    return true;
}

bool stream_receive_ready(const stream *self)
{
    return self->receive != receive_state::none && self->receive != receive_state::pending && !self->receive_again;
}

bool stream_receive_submit(stream *self)
{
    if (self->receive_again) {
        self->receive_again = false;
        return receive_retry_later(self);
    }
    switch (self->receive) {
    case receive_state::none:
        return receive_start_next(self);
    case receive_state::pending:
        return false;
    default:
        return true;
    }
}

void stream_receive_let_go(stream *self, socket_record *record, bool closing)
{
    receive_operation *receiving = self->receiving;
    backend *owner = self->as_source.owner;
    // A buffer in flight may have taken bytes already, or take them before the cancel does; and who has the socket next
    // finds nothing in flight on it.
    if (!closing && self->receive == receive_state::pending)
        port_await(owner->port, &receiving->operation);
    if (self->receive == receive_state::held && !closing)
        receive_give_back(self, receiving);
    self->receive = receive_state::none;
    self->receiving = nullptr;
    if (receiving == nullptr)
        return;
    receive_operation_leave(owner, receiving);
    if (receiving->operation.pending)
        linger_begin(&receiving->left, record, &receiving->operation, 0);
    completion_disown(&receiving->operation);
}

size_t stream_receive_held(const stream *self)
{
    return self->receive == receive_state::held ? self->receiving->in_use.end - self->receiving->in_use.begin : 0;
}

int stream_receive_take(stream *self, char *into, int at_most)
{
    // Otherwise what there may be is found out by the next receive, and no call need ask; if there will be one.
    bool receives = (self->as_source.wanted & EV_READ) != 0;
    if (self->receive == receive_state::readable)
        receive_fill(self);
    else if (self->receive == receive_state::none && !receives)
        receive_start(self, false);
    self->read_limit = max_take_size;
    switch (self->receive) {
    case receive_state::held:
        return receive_take_part(self, into, at_most);
    case receive_state::ended:
        return 0;
    case receive_state::failed:
        self->receive = receive_state::none;
        WSASetLastError(self->receive_error);
        return -1;
    default:
        WSASetLastError(WSAEWOULDBLOCK);
        return -1;
    }
}

void stream_receive_rest(stream *self)
{
    if (self->receiving != nullptr && self->receive == receive_state::none)
        receive_release_buffer(self->as_source.owner, self->receiving);
}

int stream_read(stream *self, struct evbuffer *input, int at_most)
{
    unsigned limit = max_receive_size;
    if (at_most >= 0 && static_cast<unsigned>(at_most) < max_receive_size)
        limit = static_cast<unsigned>(at_most);
    self->read_limit = limit;
    if (self->receive == receive_state::readable && self->transport != sys::transport::socket)
        receive_file_now(self);
    switch (self->receive) {
    case receive_state::held:
        return receive_take_held(self, input, limit);
    case receive_state::ended:
        return 0;
    case receive_state::failed:
        self->receive = receive_state::none;
        WSASetLastError(self->receive_error);
        return -1;
    default:
        if (self->receive != receive_state::pending && self->transport == sys::transport::socket)
            return receive_now(self, input, limit);
        WSASetLastError(WSAEWOULDBLOCK);
        return -1;
    }
}

} // namespace iocp
