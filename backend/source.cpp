#include "backend/source.h"
#include "backend/backend.h"

namespace iocp {

void source_init(source *self, const source_ops *ops, backend *owner, evutil_socket_t fd)
{
    self->ops = ops;
    self->owner = owner;
    self->fd = fd;
    self->next_queued = self->previous_queued = nullptr;
    self->wanted = 0;
    self->queued = self->in_use = false;
}

void source_queue(source *self)
{
    backend *owner = self->owner;
    if (self->queued)
        return;
    self->queued = true;
    self->next_queued = nullptr;
    self->previous_queued = owner->last_queued;
    if (owner->last_queued != nullptr)
        owner->last_queued->next_queued = self;
    else
        owner->first_queued = self;
    owner->last_queued = self;
}

void source_unqueue(source *self)
{
    backend *owner = self->owner;
    if (!self->queued)
        return;
    self->queued = false;
    if (self->previous_queued != nullptr)
        self->previous_queued->next_queued = self->next_queued;
    else
        owner->first_queued = self->next_queued;
    if (self->next_queued != nullptr)
        self->next_queued->previous_queued = self->previous_queued;
    else
        owner->last_queued = self->previous_queued;
    self->next_queued = self->previous_queued = nullptr;
}

void source_ready(source *self, short ready)
{
    if (self->wanted == 0 || self->owner->draining)
        return;
    source_queue(self);
    if ((ready & self->wanted) != 0)
        evmap_io_active_(self->owner->base, self->fd, static_cast<short>(ready & self->wanted));
}

} // namespace iocp
