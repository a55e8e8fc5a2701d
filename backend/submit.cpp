#include "backend/submit.h"

namespace iocp {

namespace {

// Full turns, in finds, until more are started at a time: to try costs a receive that waits.
constexpr unsigned finds_until_faster = 16;

source *take_first(source_list *list)
{
    source *taken = list->first;
    source_unqueue(taken);
    return taken;
}

// Goes through the sources that have changed. Those that are not ready are to start what they need.
bool hand_on_ready(backend *self)
{
    bool any_ready = false;
    const source *last = self->changed.last;
    while (self->changed.first != nullptr) {
        source *next = take_first(&self->changed);
        auto ready = static_cast<short>(next->ops->ready(next) & next->wanted);
        if (ready != 0) {
            any_ready = true;
            source_ready(next, ready);
        } else {
            source_queue_in(next, source_place::starting);
        }
        if (next == last)
            break;
    }
    return any_ready;
}

void keep_pace(start_pace *pace, unsigned found, bool waited)
{
    if (waited) {
        pace->finds = 1;
        pace->full_turns = 0;
    } else if (found >= pace->finds && ++pace->full_turns * pace->finds >= finds_until_faster) {
        pace->finds = pace->finds * 2 < max_finds ? pace->finds * 2 : max_finds;
        pace->full_turns = 0;
    }
}

// Goes through the sources that have something to start: all of them, unless some are found to be ready.
bool start_some(backend *self, bool at_once)
{
    start_pace *pace = &self->pace;
    unsigned found = 0;
    bool waited = false;
    if (pace->finds == 0)
        pace->finds = 1;
    const source *last = self->starting.last;
    while (self->starting.first != nullptr && !waited && (at_once || found < pace->finds)) {
        source *next = take_first(&self->starting);
        size_t in_flight = self->on->in_flight_count;
        short ready = next->ops->submit(next);
        if (ready != 0) {
            ++found;
            source_ready(next, ready);
        } else {
            waited = !at_once && found > 0 && self->on->in_flight_count > in_flight;
        }
        if (next == last)
            break;
    }
    if (!at_once)
        keep_pace(pace, found, waited);
    return found > 0;
}

} // namespace

bool submit(backend *self, bool at_once)
{
    bool any_ready = hand_on_ready(self);
    if (any_ready && !at_once && self->pace.turns < self->pace.patience)
        return true;
    return start_some(self, at_once) || any_ready;
}

bool look_is_due(start_pace *pace)
{
    return pace->turns++ >= pace->patience;
}

void look_was_made(start_pace *pace, bool brought_packets)
{
    pace->turns = 0;
    if (brought_packets || pace->patience == 0)
        pace->patience = min_turns_without_look;
    else
        pace->patience = pace->patience * 2 < max_turns_without_look ? pace->patience * 2 : max_turns_without_look;
}

} // namespace iocp
