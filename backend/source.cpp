#include "backend/source.h"
#include "backend/backend.h"

namespace iocp {

namespace {

source_list *source_list_at(source *self, source_place place)
{
    loop *queues = &self->owner->loop;
    switch (place) {
    case source_place::starting:
        return &queues->starting;
    case source_place::receiving:
        return &queues->receiving;
    case source_place::polling:
        return &queues->polling;
    default:
        return &queues->changed;
    }
}

} // namespace

void source_init(source *self, const source_ops *ops, backend *owner, evutil_socket_t fd)
{
    self->ops = ops;
    self->owner = owner;
    self->fd = fd;
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
    source_list *list = source_list_at(self, place);
    self->place = place;
    // Who is queued anew while it waits, since it is ready in between or its interest changes, keeps its turn.
    bool at_front = place != source_place::changed && self->waits;
    if (at_front && place != source_place::starting)
        (place == source_place::receiving ? self->owner->loop.receive_pace : self->owner->loop.poll_pace).any_at_front =
            true;
    if (at_front)
        TAILQ_INSERT_HEAD(list, self, queued);
    else
        TAILQ_INSERT_TAIL(list, self, queued);
    self->waits = self->waits || place != source_place::changed;
}

void source_unqueue(source *self)
{
    if (self->place == source_place::nowhere)
        return;
    TAILQ_REMOVE(source_list_at(self, self->place), self, queued);
    self->place = source_place::nowhere;
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
    TAILQ_INSERT_TAIL(&self->owner->loop.to_free, self, queued);
}

void sources_free(backend *owner)
{
    source_list *list = &owner->loop.to_free;
    while (!TAILQ_EMPTY(list)) {
        source *freed = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, freed, queued);
        mm_free(freed);
    }
}

} // namespace iocp
