#include "backend/source.h"
#include "backend/backend.h"

namespace iocp {

namespace {

source_list *list_at(source *self, source_place place)
{
    backend *owner = self->owner;
    switch (place) {
    case source_place::starting:
        return &owner->starting;
    case source_place::receiving:
        return &owner->receiving;
    case source_place::polling:
        return &owner->polling;
    default:
        return &owner->changed;
    }
}

} // namespace

void source_init(source *self, const source_ops *ops, backend *owner, evutil_socket_t fd)
{
    self->ops = ops;
    self->owner = owner;
    self->fd = fd;
    self->next_queued = self->previous_queued = nullptr;
    self->sent_in_round = 0;
    self->wanted = 0;
    self->place = source_place::nowhere;
    self->in_use = false;
    self->waits = false;
}

source_place source_starts_soon(const source *)
{
    return source_place::starting;
}

source_place source_polls(const source *)
{
    return source_place::polling;
}

void source_queue(source *self)
{
    source_queue_in(self, source_place::changed);
}

void source_queue_in(source *self, source_place place)
{
    if (self->place == place)
        return;
    source_unqueue(self);
    source_list *list = list_at(self, place);
    self->place = place;
    // Who is queued anew while it waits, since it is ready in between or its interest changes, keeps its turn.
    bool at_front = place != source_place::changed && self->waits;
    if (at_front && place != source_place::starting)
        (place == source_place::receiving ? self->owner->pace.receives : self->owner->pace.polls).any_at_front = true;
    source *previous = at_front ? nullptr : list->last;
    source *next = at_front ? list->first : nullptr;
    self->previous_queued = previous;
    self->next_queued = next;
    (previous != nullptr ? previous->next_queued : list->first) = self;
    (next != nullptr ? next->previous_queued : list->last) = self;
    self->waits = self->waits || place != source_place::changed;
}

void source_unqueue(source *self)
{
    if (self->place == source_place::nowhere)
        return;
    source_list *list = list_at(self, self->place);
    self->place = source_place::nowhere;
    if (self->previous_queued != nullptr)
        self->previous_queued->next_queued = self->next_queued;
    else
        list->first = self->next_queued;
    if (self->next_queued != nullptr)
        self->next_queued->previous_queued = self->previous_queued;
    else
        list->last = self->previous_queued;
    self->next_queued = self->previous_queued = nullptr;
}

void source_ready(source *self, short ready)
{
    if (self->wanted == 0 || self->owner->draining)
        return;
    source_queue(self);
    struct event_base *base = self->owner->base;
    auto told = static_cast<short>(ready & self->wanted);
    // As on select, where who reads is told first: what it writes then can be sent in the same pass.
    if ((told & ~EV_WRITE) != 0)
        evmap_io_active_(base, self->fd, static_cast<short>(told & ~EV_WRITE));
    if ((told & EV_WRITE) != 0)
        evmap_io_active_(base, self->fd, EV_WRITE);
}

bool source_start(source *self)
{
    self->waits = false;
    short ready = self->ops->submit(self);
    if (ready != 0)
        source_ready(self, ready);
    return ready != 0;
}

void source_free_later(source *self)
{
    source_unqueue(self);
    self->next_queued = self->owner->to_free;
    self->owner->to_free = self;
}

void sources_free(backend *owner)
{
    while (owner->to_free != nullptr) {
        source *freed = owner->to_free;
        owner->to_free = freed->next_queued;
        mm_free(freed);
    }
}

} // namespace iocp
