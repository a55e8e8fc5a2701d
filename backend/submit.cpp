#include "backend/submit.h"
#include "backend/poll_together.h"

namespace iocp {

namespace {

source *take_first(source_list *list)
{
    source *taken = list->first;
    source_unqueue(taken);
    return taken;
}

// Goes through the sources that have changed. Those that have something to start wait for that, ready or not: what is
// ready may stay so for long.
bool hand_on_ready(backend *self)
{
    bool any_ready = false;
    const source *last = self->changed.last;
    while (self->changed.first != nullptr) {
        source *next = take_first(&self->changed);
        auto ready = static_cast<short>(next->ops->ready(next) & next->wanted);
        source_place place = next->ops->waits_in(next);
        if (ready != 0) {
            any_ready = true;
            source_ready(next, ready);
        }
        if (place != source_place::nowhere)
            source_queue_in(next, place);
        if (next == last)
            break;
    }
    return any_ready;
}

// Starts what one source needs. True if it is ready.
bool start_one(source *next)
{
    short ready = next->ops->submit(next);
    if (ready != 0)
        source_ready(next, ready);
    return ready != 0;
}

bool start_all(source_list *list)
{
    bool any_ready = false;
    const source *last = list->last;
    while (list->first != nullptr) {
        source *next = take_first(list);
        any_ready = start_one(next) || any_ready;
        if (next == last)
            break;
    }
    return any_ready;
}

// One after the other, until so many have found something as the pace allows, or one has not after others have.
bool start_at_pace(backend *self, source_list *list)
{
    unsigned found = 0;
    bool waits = false;
    const source *last = list->last;
    while (list->first != nullptr && !waits && found < pace_finds(&self->pace)) {
        source *next = take_first(list);
        size_t in_flight = self->on->in_flight_count;
        if (start_one(next))
            ++found;
        else
            waits = found > 0 && self->on->in_flight_count > in_flight;
        if (next == last)
            break;
    }
    pace_keep(&self->pace, found, waits);
    return found > 0;
}

// Those that have been queued since before the last look at the port, while others were ready all the time. The rest is
// young: its data may be what the next callbacks send.
bool start_left_waiting(backend *self, source_list *list)
{
    bool any_ready = false;
    const source *last = list->last;
    while (list->first != nullptr && list->first->queued_look != self->pace.looks) {
        source *next = take_first(list);
        any_ready = start_one(next) || any_ready;
        if (next == last)
            break;
    }
    return any_ready;
}

bool start(backend *self, source_list *list, receives which)
{
    switch (which) {
    case receives::all:
        return start_all(list);
    case receives::at_pace:
        return start_at_pace(self, list);
    default:
        return start_left_waiting(self, list);
    }
}

} // namespace

bool submit_ready(backend *self)
{
    bool any_ready = hand_on_ready(self);
    return start_all(&self->starting) || any_ready;
}

bool submit_receives(backend *self, receives which)
{
    self->pace.looks_in_row = 0;
    bool any_ready = start(self, &self->receiving, which);
    if (which == receives::at_pace && look_together(self))
        return true;
    return start(self, &self->polling, which) || any_ready;
}

} // namespace iocp
