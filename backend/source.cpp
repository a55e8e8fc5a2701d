#include "backend/source.h"
#include "backend/backend.h"

namespace iocp {

namespace {

source_list *source_list_at(loop *queues, source_place place)
{
    static constexpr source_list loop::*const lists[] = {nullptr,          &loop::changed, &loop::starting,
                                                         &loop::receiving, &loop::polling, &loop::hinted};
    return &(queues->*lists[static_cast<int>(place)]);
}

// The list that it is in, if any.
void source_leave(source *self, loop *queues)
{
    if (self->place != source_place::nowhere)
        TAILQ_REMOVE(source_list_at(queues, self->place), self, queued);
}

} // namespace

void source_init(source *self, const source_ops *ops, owned_descriptor *of)
{
    self->ops = ops;
    self->of = of;
    self->sent_in_round = 0;
    self->wanted = 0;
    self->place = source_place::nowhere;
    self->in_use = false;
    self->waits = false;
    self->may_give_way = self->gives_way = false;
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
    loop *queues = &source_owner(self)->loop;
    source_leave(self, queues);
    self->place = place;
    source_list *list = source_list_at(queues, place);
    bool starts_later = place != source_place::changed && place != source_place::hinted;
    if (!starts_later || !self->waits) {
        TAILQ_INSERT_TAIL(list, self, queued);
        self->waits = self->waits || starts_later;
        return;
    }
    // Who is queued anew while it waits, since it is ready in between or its interest changes, keeps its turn.
    TAILQ_INSERT_HEAD(list, self, queued);
    if (place != source_place::starting)
        (place == source_place::receiving ? queues->receive_pace : queues->poll_pace).any_at_front = true;
}

void source_unqueue(source *self)
{
    if (self->place == source_place::nowhere)
        return;
    source_leave(self, &source_owner(self)->loop);
    self->place = source_place::nowhere;
}

void source_ready(source *self, short ready)
{
    const backend *owner = source_owner(self);
    if (self->wanted == 0 || owner->draining)
        return;
    source_queue(self);
    source_tell(self, ready);
}

void source_hint(source *self)
{
    if (self->wanted != 0 && !source_owner(self)->draining)
        source_queue_in(self, source_place::hinted);
}

void source_tell(source *self, short ready)
{
    struct event_base *base = source_owner(self)->base;
    evutil_socket_t fd = source_descriptor(self);
    auto told = static_cast<short>(ready & self->wanted);
    // As on select, where who reads is told first: what it writes then can be sent in the same pass.
    if ((told & ~EV_WRITE) != 0)
        evmap_io_active_(base, fd, static_cast<short>(told & ~EV_WRITE));
    if ((told & EV_WRITE) != 0)
        evmap_io_active_(base, fd, EV_WRITE);
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
    TAILQ_INSERT_TAIL(&source_owner(self)->loop.to_free, self, queued);
}

void sources_free(backend *owner)
{
    source_list *list = &owner->loop.to_free;
    while (!TAILQ_EMPTY(list)) {
        source *freed = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, freed, queued);
        if (freed->ops->freed != nullptr)
            freed->ops->freed(freed);
        mm_free(freed);
    }
}

} // namespace iocp
