#include "bufferevent/receive_buffer.h"

namespace iocp {

namespace {

// A buffer that has waited this many turns of the loop may be called back for a busier connection.
constexpr unsigned cold_after_turns = 64;

unsigned receive_has_waited_for(const stream *self)
{
    return completion_turns_since(&self->receiving, stream_owner(self)->loop.turn);
}

// Calls the longest waiting buffer back, if it has waited long enough. Its packet makes room, not this call.
void receive_call_back_coldest(backend *owner)
{
    received_bytes *coldest = TAILQ_FIRST(&owner->streams.budget.waiting);
    if (coldest == nullptr || receive_has_waited_for(coldest->owner) < cold_after_turns)
        return;
    receive_list_remove(&owner->streams.budget, coldest);
    coldest->owner->warm = false;
    coldest->owner->calls_paid = 0;
    completion_cancel(&coldest->owner->receiving);
}

// What a receive waits with for which there should be no buffer.
bool receive_wait_small(stream *self)
{
    if (!sys::waits_without_buffer(stream_transport(self)))
        return receive_allocate_buffer(self, cold_receive_size);
    receive_release_buffer(self);
    return true;
}

} // namespace

void receive_leave(stream *self)
{
    if (self->received == nullptr)
        return;
    receive_budget *budget = &stream_owner(self)->streams.budget;
    receive_list_remove(budget, self->received);
    EVUTIL_ASSERT(budget->spent >= self->received->capacity);
    budget->spent -= self->received->capacity;
}

void receive_paid_a_call(stream *self)
{
    const received_bytes *coldest = TAILQ_FIRST(&stream_owner(self)->streams.budget.waiting);
    if (coldest == nullptr ||
        receive_has_waited_for(self) >= receive_has_waited_for(coldest->owner) / busier_than_coldest)
        self->calls_paid = 0;
    else if (self->calls_paid < paid_for_call_back)
        ++self->calls_paid;
}

void receive_list_append(receive_budget *budget, received_bytes *waiting)
{
    TAILQ_INSERT_TAIL(&budget->waiting, waiting, listed);
    waiting->in_list = true;
}

void receive_list_remove(receive_budget *budget, received_bytes *waiting)
{
    if (!waiting->in_list)
        return;
    TAILQ_REMOVE(&budget->waiting, waiting, listed);
    waiting->in_list = false;
}

void receive_release_buffer(stream *self)
{
    receive_leave(self);
    received_free(self->received);
    self->received = nullptr;
}

bool receive_allocate_buffer(stream *self, unsigned size)
{
    if (self->received != nullptr && self->received->capacity == size)
        return true;
    receive_release_buffer(self);
    self->received = received_new(size);
    if (self->received == nullptr)
        return false;
    self->received->owner = self;
    stream_owner(self)->streams.budget.spent += size;
    return true;
}

void receive_free_handed_over(const void *, size_t, void *received)
{
    received_free(static_cast<received_bytes *>(received));
}

bool receive_provide_buffer(stream *self)
{
    if (!self->warm || self->never_ahead)
        return receive_wait_small(self);
    backend *owner = stream_owner(self);
    const receive_budget *budget = &owner->streams.budget;
    unsigned size = stream_receive_size(self);
    size_t most = self->receipts == 1 ? receive_budget_of_quiet : receive_budget_bytes;
    bool affordable = budget->spent <= most;
    if (self->received != nullptr && self->received->capacity == size && affordable)
        return true;
    receive_release_buffer(self);
    bool has_room = budget->spent + size <= most;
    if (has_room && receive_allocate_buffer(self, size))
        return true;
    if (!has_room && self->calls_paid >= paid_for_call_back)
        receive_call_back_coldest(owner);
    return receive_wait_small(self);
}

void receive_give_back(stream *self)
{
    evutil_socket_t fd = stream_descriptor(self);
    received_bytes *left = self->received;
    bool is_socket = !self->is_file;
    bool is_there = left->life == socket_of(&self->as_source)->life; // and not another one by its number
    left->connection = is_socket ? sys::connection_mark(static_cast<SOCKET>(fd)) : 0;
    if (socket_keep_early(stream_owner(self), fd, left, true))
        self->received = nullptr;
    else if (is_there)
        receive_lose(self, received_length(left), "there is no memory to keep them");
}

void receive_lose(const stream *self, unsigned bytes, const char *why)
{
    if (self->is_file)
        event_warnx("iocp: %u bytes of a file are lost to its next reader: %s", bytes, why);
    else
        sys::end_connection(static_cast<SOCKET>(stream_descriptor(self)));
}

int receive_wait_for_memory(stream *self)
{
    base_locked held(stream_owner(self)->base);
    self->receive_again = true;
    return WSAEWOULDBLOCK;
}

} // namespace iocp
