#include "bufferevent/acceptor_lists.h"

namespace iocp {

void push_pending(acceptor *self, accept_operation *accepting)
{
    accepting->previous = nullptr;
    accepting->next = self->pending;
    if (self->pending != nullptr)
        self->pending->previous = accepting;
    self->pending = accepting;
    ++self->pending_count;
}

void remove_pending(acceptor *self, accept_operation *accepting)
{
    if (accepting->previous != nullptr)
        accepting->previous->next = accepting->next;
    else
        self->pending = accepting->next;
    if (accepting->next != nullptr)
        accepting->next->previous = accepting->previous;
    accepting->next = accepting->previous = nullptr;
    --self->pending_count;
    first_data_unlisted(self, accepting);
}

void push_done(acceptor *self, accept_operation *accepting)
{
    accepting->next = nullptr;
    if (self->last_done != nullptr)
        self->last_done->next = accepting;
    else
        self->first_done = accepting;
    self->last_done = accepting;
}

accept_operation *pop_done(acceptor *self)
{
    accept_operation *taken = self->first_done;
    if (taken == nullptr)
        return nullptr;
    self->first_done = taken->next;
    if (self->first_done == nullptr)
        self->last_done = nullptr;
    return taken;
}

} // namespace iocp
