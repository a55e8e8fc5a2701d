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
    completion_cancel(&coldest->operation);
}

} // namespace

void receive_operation_leave(backend *owner, receive_operation *receiving)
{
    receive_list_remove(&owner->streams.budget, receiving);
    owner->streams.budget.spent -= receiving->in_use.capacity;
    receiving->left = {};
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

void receive_provide_buffer(stream *self, receive_operation *receiving)
{
    backend *owner = self->as_source.owner;
    if (!self->warm) {
        receive_release_buffer(owner, receiving);
        return;
    }
    bool affordable = owner->streams.budget.spent <= receive_budget_bytes;
    if (receiving->buffer != nullptr && receiving->in_use.capacity == self->receive_size && affordable)
        return;
    receive_release_buffer(owner, receiving);
    if (owner->streams.budget.spent + self->receive_size > receive_budget_bytes)
        receive_call_back_coldest(owner);
    else
        receive_allocate_buffer(owner, receiving, self->receive_size); // or zero bytes, then
}

} // namespace iocp
