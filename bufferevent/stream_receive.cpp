#include "bufferevent/stream_receive.h"
#include "backend/socket_lingering.h"
#include "backend/transport.h"
#include "bufferevent/receive_buffer.h"
#include "bufferevent/receive_outcome.h"

namespace iocp {

namespace {

// A connection that may read less than this at a time is held back on purpose (rate limit, high watermark): nothing is
// received for it ahead of need. libevent's default allows this much.
constexpr unsigned unlimited_read = 16 * 1024;

// From here on a filled buffer is handed to the evbuffer as it is, rather than copied.
constexpr unsigned handover_size = 8 * 1024;

stream *receive_from_completion(completion *operation)
{
    return EVUTIL_UPCAST(operation, stream, receiving);
}

void receive_ended(completion *operation, int error, DWORD bytes)
{
    stream *self = receive_from_completion(operation);
    if (self->received != nullptr)
        receive_list_remove(&stream_owner(self)->streams.budget, self->received);
    self->receive = receive_outcome(self, error, bytes);
    self->receive_again = self->receive_again || receive_was_in_vain(self, error);
    source_ready(&self->as_source, self->receive == receive_state::none ? 0 : EV_READ);
}

// The stream has been let go, and its socket is closed next: nobody reads from it.
void receive_freed_at_close(completion *operation, int, DWORD)
{
    stream *self = receive_from_completion(operation);
    linger_end_cancelled(socket_of(&self->as_source), self->left_life);
    source_free_later(&self->as_source);
}

// Or its socket lives on. Who waited for this packet had the bytes, or gave it up.
void receive_freed(completion *operation, int error, DWORD bytes)
{
    stream *self = receive_from_completion(operation);
    const socket_record *record = socket_of(&self->as_source);
    if (bytes != 0 && self->left_life == record->life && !record->close_asked)
        receive_lose(self, bytes, "its cancelled read took too long");
    receive_freed_at_close(operation, error, bytes);
}

const completion_ops receive_ops = {operation_kind::receive, receive_ended, receive_freed};
const completion_ops receive_ops_at_close = {operation_kind::receive, receive_ended, receive_freed_at_close};

bool receive_retry_later(stream *self)
{
    stream_owner(self)->loop.retry_soon = true;
    source_queue(&self->as_source);
    return false;
}

// What the buffer gets is of this socket, whatever becomes of its number meanwhile.
void receive_note_life(stream *self)
{
    if (self->received != nullptr)
        self->received->life = socket_of(&self->as_source)->life;
}

// For a reader with memory of its own, who asks for so much.
unsigned receive_size_for(const stream *self, unsigned asked)
{
    unsigned size = stream_receive_size(self);
    return self->never_ahead && asked < size ? asked : size;
}

// Receives what is there into the stream's own buffer, where it is held.
void receive_fill(stream *self, unsigned size)
{
    if (!receive_allocate_buffer(self, size)) {
        self->receive = receive_state::none;
        self->receive_again = true;
        return;
    }
    receive_note_life(self);
    WSABUF buffer = {self->received->capacity, self->received->bytes};
    DWORD bytes = 0;
    int error = sys::receive_now(static_cast<SOCKET>(stream_descriptor(self)), &buffer, 1, &bytes);
    if (error == WSAEWOULDBLOCK || sys::is_shortage(error)) {
        self->receive = receive_state::none;
        self->receive_again = error != WSAEWOULDBLOCK;
    } else {
        self->receive = receive_outcome(self, error, bytes);
    }
}

// Starts one with the buffer that the stream has, or with none.
sys::start_result receive_hand_over(stream *self)
{
    WSABUF buffer = {0, nullptr};
    if (self->received != nullptr)
        buffer = {self->received->capacity, self->received->bytes};
    backend *owner = stream_owner(self);
    completion_note_turn(&self->receiving, owner->loop.turn);
    receive_note_life(self);
    return transport_receive(stream_transport(self), owner->port, &self->receiving, stream_descriptor(self), &buffer,
                             stream_skips_packets(self));
}

// The kernel has it.
void receive_note_pending(stream *self)
{
    self->receive = receive_state::pending;
    received_bytes *with = self->received;
    if (with == nullptr || with->capacity <= cold_receive_size) // to call a small one back makes no room
        return;
    receive_list_append(&stream_owner(self)->streams.budget, with);
}

// `at_once`: 0 if it waits for data to come. Otherwise the receive has a buffer of this size, since that is one call, and is
// called back if it would wait: no receive but an overlapped one is sure not to block, whatever the program did to its
// socket.
bool receive_start(stream *self, unsigned at_once)
{
    bool waits = at_once == 0;
    if (waits ? !receive_provide_buffer(self) : !receive_allocate_buffer(self, at_once))
        return receive_retry_later(self);
    sys::start_result result = receive_hand_over(self);
    if (result.how == sys::started::pending) {
        receive_note_pending(self);
        if (!waits)
            completion_cancel(&self->receiving);
        return false;
    }
    if (result.how == sys::started::failed && receive_may_start_later(self, result.error))
        return receive_retry_later(self);
    self->receive = receive_outcome(self, result.error, result.bytes);
    if (result.how == sys::started::failed)
        receive_settle_refused(self, result.error);
    if (receive_was_in_vain(self, result.error))
        return receive_retry_later(self);
    return self->receive != receive_state::none;
}

// The first bytes of a connection that was just accepted have come already, or have not, as those of the last one had:
// that is up to its listener's protocol. A buffer in vain costs two calls, none in vain costs one.
bool receive_start_first(stream *self)
{
    bool *new_ones_wait = &stream_owner(self)->streams.new_ones_wait;
    self->looks_first = false;
    bool found = receive_start(self, *new_ones_wait ? 0 : stream_receive_size(self));
    *new_ones_wait = self->receive == receive_state::pending;
    return found;
}

// After a read that might take `limit` bytes.
void receive_adapt_size(stream *self, unsigned asked, unsigned got, unsigned limit)
{
    unsigned size = stream_receive_size(self);
    if (got == asked && size * 2 <= limit)
        ++self->receive_doublings;
    else if (got < size / 4 && self->receive_doublings > 0)
        --self->receive_doublings;
    self->warm = limit >= unlimited_read;
    if (self->receipts < 2)
        ++self->receipts;
}

// Handed to the evbuffer as they are. Of a stream that has been let go of they are in nobody's budget.
int receive_add_by_reference(stream *self, struct evbuffer *input)
{
    received_bytes *held = self->received;
    {
        base_locked locked(stream_owner(self)->base);
        if (stream_is_attached(self))
            receive_leave(self);
        self->received = nullptr;
    }
    if (evbuffer_add_reference(input, held->bytes, held->end, receive_free_handed_over, held) == 0)
        return 0;
    base_locked locked(stream_owner(self)->base);
    self->received = held;
    if (stream_is_attached(self))
        stream_owner(self)->streams.budget.spent += held->capacity;
    return -1;
}

// Callbacks of the input run within that. They may take from it, and free what was handed over; or set another descriptor,
// or free the bufferevent, and what the stream still holds with it. So by then it has given these bytes away. (Another
// thread may close the descriptor at any time: what is held stays there to the loop's next turn.)
int receive_add_held(stream *self, struct evbuffer *input, unsigned length)
{
    received_bytes *held = self->received;
    bool by_reference = length == held->end && length >= handover_size && length >= held->capacity / 2;
    const char *bytes = received_first(held);
    held->begin += length;
    if (received_length(held) == 0)
        self->receive = receive_state::none;
    int result = by_reference ? receive_add_by_reference(self, input) : evbuffer_add(input, bytes, length);
    if (result != 0) { // and nobody was called
        held->begin -= length;
        self->receive = receive_state::held;
    }
    return result;
}

int receive_take_held(stream *self, struct evbuffer *input, unsigned at_most)
{
    const received_bytes *held = self->received;
    unsigned capacity = held->capacity, end = held->end, all = received_length(held);
    unsigned length = all < at_most ? all : at_most;
    if (receive_add_held(self, input, length) != 0) {
        WSASetLastError(WSAENOBUFS);
        return -1;
    }
    if (length == all)
        receive_adapt_size(self, capacity, end, at_most);
    return static_cast<int>(length);
}

int receive_now(stream *self, struct evbuffer *input, unsigned at_most)
{
    unsigned wanted = stream_receive_size(self);
    if (wanted > at_most)
        wanted = at_most;
    struct evbuffer_iovec space;
    if (evbuffer_reserve_space(input, static_cast<ev_ssize_t>(wanted), &space, 1) != 1) {
        WSASetLastError(WSAENOBUFS);
        return -1;
    }
    WSABUF buffer = {wanted, static_cast<char *>(space.iov_base)};
    DWORD bytes = 0;
    int error = sys::receive_now(static_cast<SOCKET>(stream_descriptor(self)), &buffer, 1, &bytes);
    space.iov_len = bytes;
    if (error == 0 && bytes > 0 && evbuffer_commit_space(input, &space, 1) != 0)
        error = WSAEFAULT;                        // libevent does not find its own space, and what came is lost
    if (error != 0 && error != WSAECONNABORTED) { // which is an end to evbuffer_read, too
        self->receive = receive_state::none;
        WSASetLastError(sys::is_shortage(error) ? receive_wait_for_memory(self) : error);
        return -1;
    }
    if (bytes == 0) {
        self->receive = receive_state::ended;
        return 0;
    }
    self->receive = receive_state::none;
    if (at_most > wanted || bytes < wanted)
        receive_adapt_size(self, wanted, bytes, at_most);
    return static_cast<int>(bytes);
}

// A file is read by overlapped calls alone, into the stream's own buffer: no other is sure not to block. For no more than
// is asked for: the rest waits there.
void receive_file_now(stream *self, unsigned at_most)
{
    base_locked held(stream_owner(self)->base);
    self->receive = receive_state::none;
    if (!stream_is_attached(self)) // a close in another thread was first, and tells of itself
        return;
    unsigned size = stream_receive_size(self);
    receive_start(self, at_most < size ? at_most : size);
}

int receive_take_part(stream *self, char *into, int at_most)
{
    received_bytes *held = self->received;
    unsigned length = received_take(held, into, static_cast<unsigned>(at_most));
    if (received_length(held) == 0) {
        self->receive = receive_state::none;
        receive_adapt_size(self, held->capacity, held->end, max_take_size);
    }
    return static_cast<int>(length);
}

} // namespace

void stream_receive_init(stream *self)
{
    completion_init(&self->receiving, &receive_ops);
}

void stream_receive_hold(stream *self, received_bytes *early)
{
    EVUTIL_ASSERT(!self->receiving.pending);
    receive_release_buffer(self);
    self->received = early;
    early->owner = self;
    receive_note_life(self);
    stream_owner(self)->streams.budget.spent += early->capacity;
    self->receive = receive_state::held;
}

bool stream_receive_submit(stream *self)
{
    if (self->receive_again) {
        self->receive_again = false;
        return receive_retry_later(self);
    }
    switch (self->receive) {
    case receive_state::none:
        return self->looks_first ? receive_start_first(self) : receive_start(self, 0);
    case receive_state::pending:
        return false;
    default:
        return true;
    }
}

void stream_receive_let_go(stream *self, bool closing)
{
    // A buffer in flight may have taken bytes already, or take them before the cancel does; and who has the socket next
    // finds nothing in flight on it.
    if (!closing && self->receive == receive_state::pending)
        port_await(stream_owner(self)->port, &self->receiving);
    receive_leave(self);
    if (self->receive == receive_state::held && !closing)
        receive_give_back(self);
    self->receive = receive_state::none;
    if (self->receiving.pending) {
        self->left_life = linger_begin_cancelled(socket_of(&self->as_source));
        if (closing)
            self->receiving.ops = &receive_ops_at_close;
        completion_disown(&self->receiving);
    }
}

size_t stream_receive_held(const stream *self)
{
    return self->receive == receive_state::held ? received_length(self->received) : 0;
}

int stream_receive_take(stream *self, char *into, int at_most)
{
    // Otherwise what there may be is found out by the next receive, and no call need ask; if there will be one.
    bool receives = (self->as_source.wanted & EV_READ) != 0;
    unsigned size = receive_size_for(self, static_cast<unsigned>(at_most));
    if (self->receive == receive_state::readable)
        receive_fill(self, size);
    else if (self->receive == receive_state::none && !receives)
        receive_start(self, size);
    self->has_read = true;
    switch (self->receive) {
    case receive_state::held:
        return receive_take_part(self, into, at_most);
    case receive_state::ended:
        return 0;
    case receive_state::failed:
        self->receive = receive_state::none;
        WSASetLastError(self->failure);
        return -1;
    default:
        WSASetLastError(WSAEWOULDBLOCK);
        return -1;
    }
}

void stream_receive_rest(stream *self)
{
    if (self->receive == receive_state::none)
        receive_release_buffer(self);
}

int stream_read(stream *self, struct evbuffer *input, int at_most)
{
    unsigned limit = max_receive_size;
    if (at_most >= 0 && static_cast<unsigned>(at_most) < max_receive_size)
        limit = static_cast<unsigned>(at_most);
    self->has_read = true;
    receive_state state = self->receive; // once: another thread may take the packet of a receive in flight meanwhile
    if (state == receive_state::readable && limit > 0 && self->is_file) {
        receive_file_now(self, limit);
        state = self->receive;
    }
    bool aborted;
    switch (state) {
    case receive_state::held:
        return receive_take_held(self, input, limit);
    case receive_state::ended:
        return 0;
    case receive_state::failed:
        aborted = self->failure == WSAECONNABORTED && !self->is_file; // which is an end, see receive_now
        self->receive = aborted ? receive_state::ended : receive_state::none;
        WSASetLastError(self->failure);
        return aborted ? 0 : -1;
    default:
        if (state != receive_state::pending && !self->is_file)
            return receive_now(self, input, limit);
        WSASetLastError(WSAEWOULDBLOCK);
        return -1;
    }
}

} // namespace iocp
