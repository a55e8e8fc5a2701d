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
    TAILQ_INSERT_HEAD(&self->pending, accepting, listed);
    unlock(self);
    ++self->pending_count;
}

void remove_pending(acceptor *self, accept_operation *accepting)
{
    lock(self);
    TAILQ_REMOVE(&self->pending, accepting, listed);
    unlock(self);
    --self->pending_count;
    first_data_unlisted(self, accepting);
}

void push_done(acceptor *self, accept_operation *accepting)
{
    lock(self);
    TAILQ_INSERT_TAIL(&self->done, accepting, listed);
    unlock(self);
}

accept_operation *pop_done(acceptor *self)
{
    lock(self);
    accept_operation *taken = TAILQ_FIRST(&self->done);
    if (taken != nullptr)
        TAILQ_REMOVE(&self->done, taken, listed);
    unlock(self);
    return taken;
}

} // namespace iocp
