#include "bufferevent/receive_operation.h"

namespace iocp {

namespace {

// A buffer that has waited this many turns of the loop may be called back for a busier connection.
constexpr unsigned cold_after_turns = 64;

unsigned receive_has_waited_for(const backend *owner, const receive_operation *receiving)
{
    return static_cast<unsigned>(owner->loop.turn) - receiving->in_use.started_turn;
}

// Calls the longest waiting buffer back, if it has waited long enough. Its packet makes room, not this call.
void receive_call_back_coldest(backend *owner)
{
    receive_operation *coldest = TAILQ_FIRST(&owner->streams.budget.waiting);
    if (coldest == nullptr || receive_has_waited_for(owner, coldest) < cold_after_turns)
        return;
    receive_list_remove(&owner->streams.budget, coldest);
    coldest->in_use.owner->warm = false;
    coldest->in_use.calls_paid = 0;
    completion_cancel(&coldest->operation);
}

// Bytes came for one that had no buffer, or a small one: with one, they would have been here already.
void receive_paid_a_call(receive_operation *receiving)
{
    const backend *owner = receiving->in_use.owner->as_source.owner;
    const receive_operation *coldest = TAILQ_FIRST(&owner->streams.budget.waiting);
    unsigned waited = receive_has_waited_for(owner, receiving);
    if (coldest == nullptr || waited >= receive_has_waited_for(owner, coldest) / busier_than_coldest)
        receiving->in_use.calls_paid = 0;
    else if (receiving->in_use.calls_paid < paid_for_call_back)
        ++receiving->in_use.calls_paid;
}

// What a receive waits with for which there should be no buffer.
bool receive_wait_small(stream *self, receive_operation *receiving)
{
    if (!sys::waits_without_buffer(self->transport))
        return receive_allocate_buffer(self->as_source.owner, receiving, cold_receive_size);
    receive_release_buffer(self->as_source.owner, receiving);
    return true;
}

receive_state receive_hold(receive_operation *receiving, DWORD bytes)
{
    receiving->in_use.begin = 0;
    receiving->in_use.end = bytes;
    return receive_state::held;
}

// Of a file, where nothing is no end: an empty message, a serial port's time-out. What was called back may have some
// bytes; a part of a message is as good as all.
receive_state receive_file_outcome(receive_operation *receiving, int error, DWORD bytes, int *failure)
{
    if (sys::file_has_ended(error))
        return receive_state::ended;
    if (error != 0 && error != ERROR_MORE_DATA && error != ERROR_OPERATION_ABORTED) {
        *failure = error;
        return receive_state::failed;
    }
    if (receiving->in_use.capacity <= cold_receive_size && error == 0)
        receive_paid_a_call(receiving);
    if (receiving->buffer == nullptr)
        return error == 0 ? receive_state::readable : receive_state::none;
    return bytes != 0 ? receive_hold(receiving, bytes) : receive_state::none;
}

} // namespace

void receive_operation_leave(backend *owner, receive_operation *receiving)
{
    receive_list_remove(&owner->streams.budget, receiving);
    owner->streams.budget.spent -= receiving->in_use.capacity;
    receiving->left = {};
}

receive_state receive_outcome(receive_operation *receiving, int error, DWORD bytes, int *failure)
{
    if (receiving->in_use.owner->transport != sys::transport::socket)
        return receive_file_outcome(receiving, error, bytes, failure);
    if (error == WSA_OPERATION_ABORTED || error == WSAENOTCONN)
        return receive_state::none; // called back, or its thread has ended; or not connected yet
    if (error != 0) {
        *failure = error;
        return receive_state::failed;
    }
    if (receiving->buffer != nullptr)
        return bytes != 0 ? receive_hold(receiving, bytes) : receive_state::ended;
    receive_paid_a_call(receiving);
    return receive_state::readable;
}

void receive_list_append(receive_budget *budget, receive_operation *receiving)
{
    TAILQ_INSERT_TAIL(&budget->waiting, receiving, in_use.listed);
    receiving->in_use.in_list = true;
}

void receive_list_remove(receive_budget *budget, receive_operation *receiving)
{
    if (!receiving->in_use.in_list)
        return;
    TAILQ_REMOVE(&budget->waiting, receiving, in_use.listed);
    receiving->in_use.in_list = false;
}

void receive_release_buffer(backend *owner, receive_operation *receiving)
{
    if (receiving->buffer == nullptr)
        return;
    mm_free(receiving->buffer);
    receiving->buffer = nullptr;
    if (owner != nullptr) {
        EVUTIL_ASSERT(owner->streams.budget.spent >= receiving->in_use.capacity);
        owner->streams.budget.spent -= receiving->in_use.capacity;
    }
    receiving->in_use.capacity = 0;
}

bool receive_allocate_buffer(backend *owner, receive_operation *receiving, unsigned size)
{
    if (receiving->buffer != nullptr && receiving->in_use.capacity == size)
        return true;
    receive_release_buffer(owner, receiving);
    receiving->buffer = static_cast<char *>(mm_malloc(size));
    if (receiving->buffer == nullptr)
        return false;
    receiving->in_use.capacity = size;
    owner->streams.budget.spent += size;
    return true;
}

void receive_free_handed_over(const void *data, size_t, void *)
{
    mm_free(const_cast<void *>(data));
}

bool receive_provide_buffer(stream *self, receive_operation *receiving)
{
    backend *owner = self->as_source.owner;
    if (!self->warm || self->never_ahead)
        return receive_wait_small(self, receiving);
    size_t most = self->receipts == 1 ? receive_budget_of_quiet : receive_budget_bytes;
    bool affordable = owner->streams.budget.spent <= most;
    if (receiving->buffer != nullptr && receiving->in_use.capacity == self->receive_size && affordable)
        return true;
    receive_release_buffer(owner, receiving);
    bool has_room = owner->streams.budget.spent + self->receive_size <= most;
    if (has_room && receive_allocate_buffer(owner, receiving, self->receive_size))
        return true;
    if (!has_room && receiving->in_use.calls_paid >= paid_for_call_back)
        receive_call_back_coldest(owner);
    return receive_wait_small(self, receiving);
}

} // namespace iocp
