#include "bufferevent/acceptor_lists.h"
#include "bufferevent/acceptor_first_data.h"

namespace iocp {

namespace {

// Another thread may call back those in the list.
void lock(const acceptor *self)
{
    if (self->listening != nullptr)
        AcquireSRWLockExclusive(&self->listening->accepts_lock);
}

void unlock(const acceptor *self)
{
    if (self->listening != nullptr)
        ReleaseSRWLockExclusive(&self->listening->accepts_lock);
}

} // namespace

void push_pending(acceptor *self, accept_operation *accepting)
{
    lock(self);
    accepting->previous = nullptr;
    accepting->next = self->pending;
    if (self->pending != nullptr)
        self->pending->previous = accepting;
    self->pending = accepting;
    unlock(self);
    ++self->pending_count;
}

void remove_pending(acceptor *self, accept_operation *accepting)
{
    lock(self);
    if (accepting->previous != nullptr)
        accepting->previous->next = accepting->next;
    else
        self->pending = accepting->next;
    if (accepting->next != nullptr)
        accepting->next->previous = accepting->previous;
    accepting->next = accepting->previous = nullptr;
    unlock(self);
    --self->pending_count;
    first_data_unlisted(self, accepting);
}

void push_done(acceptor *self, accept_operation *accepting)
{
    lock(self);
    accepting->next = nullptr;
    if (self->last_done != nullptr)
        self->last_done->next = accepting;
    else
        self->first_done = accepting;
    self->last_done = accepting;
    unlock(self);
}

accept_operation *pop_done(acceptor *self)
{
    lock(self);
    accept_operation *taken = self->first_done;
    if (taken != nullptr)
        self->first_done = taken->next;
    if (self->first_done == nullptr)
        self->last_done = nullptr;
    unlock(self);
    return taken;
}

} // namespace iocp
