#include "bufferevent/acceptor_lists.h"
#include "bufferevent/acceptor_first_data.h"

namespace iocp {

accepts_locked::accepts_locked(const acceptor *self) : listening(self->listening)
{
    if (listening != nullptr)
        AcquireSRWLockExclusive(&listening->accepts_lock);
}

accepts_locked::~accepts_locked()
{
    if (listening != nullptr)
        ReleaseSRWLockExclusive(&listening->accepts_lock);
}

void push_pending(acceptor *self, accept_operation *accepting)
{
    TAILQ_INSERT_HEAD(&self->pending, accepting, listed);
    ++self->pending_count;
}

void push_done(acceptor *self, accept_operation *accepting)
{
    TAILQ_INSERT_TAIL(&self->done, accepting, listed);
}

void remove_pending(acceptor *self, accept_operation *accepting)
{
    {
        accepts_locked held(self);
        TAILQ_REMOVE(&self->pending, accepting, listed);
    }
    --self->pending_count;
    first_data_unlisted(self, accepting);
}

void pending_is_done(acceptor *self, accept_operation *accepting)
{
    {
        accepts_locked held(self);
        TAILQ_REMOVE(&self->pending, accepting, listed);
        push_done(self, accepting);
    }
    --self->pending_count;
    first_data_unlisted(self, accepting);
}

accept_operation *pop_done(acceptor *self)
{
    accepts_locked held(self);
    accept_operation *taken = TAILQ_FIRST(&self->done);
    if (taken != nullptr)
        TAILQ_REMOVE(&self->done, taken, listed);
    return taken;
}

bool holds_done(acceptor *self)
{
    accepts_locked held(self);
    accept_operation *each = TAILQ_FIRST(&self->done);
    while (each != nullptr) {
        accept_operation *next = TAILQ_NEXT(each, listed);
        if (each->socket == INVALID_SOCKET) {
            TAILQ_REMOVE(&self->done, each, listed);
            accept_operation_free(each);
        }
        each = next;
    }
    return !TAILQ_EMPTY(&self->done);
}

} // namespace iocp
