#include "backend/submit.h"
#include "backend/poll_together.h"
#include "backend/socket_interest.h"

namespace iocp {

namespace {

source *submit_take_first(source_list *list)
{
    source *taken = TAILQ_FIRST(list);
    source_unqueue(taken);
    return taken;
}

// Goes through the sources that have changed. Those that have something to start wait for that, ready or not: what is
// ready may stay so for long.
bool submit_hand_on_ready(backend *self)
{
    bool any_ready = false;
    const source *last = TAILQ_LAST(&self->loop.changed, source_list);
    while (!TAILQ_EMPTY(&self->loop.changed)) {
        source *next = submit_take_first(&self->loop.changed);
        auto ready = static_cast<short>(next->ops->ready(next) & next->wanted);
        source_place place = next->ops->waits_in(next);
        if (ready != 0) {
            any_ready = true;
            if ((ready & EV_WRITE) != 0)
                send_round_will_send(&self->loop.round, next->sent_in_round);
            source_tell(next, ready);
        }
        if (place != source_place::nowhere) {
            source_queue_in(next, place);
        } else {
            next->waits = false;
            if (ready != 0) // and may be so still
                source_queue(next);
        }
        if (next == last)
            break;
    }
    return any_ready;
}

bool submit_all(source_list *list)
{
    bool any_ready = false;
    const source *last = TAILQ_LAST(list, source_list);
    while (!TAILQ_EMPTY(list)) {
        source *next = submit_take_first(list);
        any_ready = source_start(next) || any_ready;
        if (next == last)
            break;
    }
    return any_ready;
}

// One after the other, until so many have found something as the pace allows, or one has not after others have.
bool submit_some_at_pace(backend *self, source_list *list, find_pace *pace)
{
    if (find_pace_all_are_due(pace)) {
        find_pace_left(pace, false);
        return submit_all(list);
    }
    unsigned found = 0;
    bool waits = false;
    const source *last = TAILQ_LAST(list, source_list);
    while (!TAILQ_EMPTY(list) && !waits && found < find_pace_most(pace)) {
        source *next = submit_take_first(list);
        size_t in_flight = self->port->in_flight.count;
        if (source_start(next))
            ++found;
        else
            waits = found > 0 && self->port->in_flight.count > in_flight;
        if (next == last)
            break;
    }
    find_pace_keep(pace, found, waits);
    find_pace_left(pace, !TAILQ_EMPTY(list));
    if (waits)
        first_look_may_bring(&self->loop.before_receives);
    return found > 0;
}

// With nobody there it is as if all had been started.
inline bool submit_at_pace(backend *self, source_list *list, find_pace *pace)
{
    if (!TAILQ_EMPTY(list))
        return submit_some_at_pace(self, list, pace);
    find_pace_left(pace, false);
    return false;
}

} // namespace

bool submit_hinted(backend *self)
{
    if (TAILQ_EMPTY(&self->loop.hinted))
        return false;
    bool found = look_together_at_hinted(self);
    return submit_all(&self->loop.hinted) || found;
}

bool submit_ready(backend *self)
{
    if (self->sockets.any_unwatched)
        interest_retry(self);
    bool any_ready = submit_hinted(self);
    any_ready = submit_hand_on_ready(self) || any_ready;
    return submit_all(&self->loop.starting) || any_ready;
}

bool submit_receives(backend *self, receive_scope which)
{
    send_round_begin(&self->loop.round);
    if (which == receive_scope::before_sends)
        return submit_at_pace(self, &self->loop.receiving, &self->loop.receive_pace);
    send_round_all_had_turn(&self->loop.round);
    first_look_receives_started(&self->loop.before_receives);
    bool all = which != receive_scope::at_pace;
    bool found =
        all ? submit_all(&self->loop.receiving) : submit_at_pace(self, &self->loop.receiving, &self->loop.receive_pace);
    if (!TAILQ_EMPTY(&self->loop.polling) && look_together(self))
        return true;
    bool polled =
        all ? submit_all(&self->loop.polling) : submit_at_pace(self, &self->loop.polling, &self->loop.poll_pace);
    return polled || found;
}

} // namespace iocp
