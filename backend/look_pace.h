// When the port is looked at by a loop that has something to do without it.
//
// A turn may look for other reasons besides: what it knows of without a call, or priorities.
//
// Invariants, of the looks that are due by this: what they take is no more than a share of the time, but for one in
// max_turns_without_look turns; and a packet waits for no more turns than these and one. What a look costs differs much
// from system to system, and is measured.
#ifndef LIBEVENT_IOCP_BACKEND_LOOK_PACE_H
#define LIBEVENT_IOCP_BACKEND_LOOK_PACE_H

#include <stdint.h>

namespace iocp {

// A look is due when it takes no more than such a share of the time since the last one.
constexpr int64_t look_share = 48;
constexpr unsigned max_turns_without_look = 64;

// What the first look counts for at the most: it may have waited for others (a lock, the processor), and what comes after it
// corrects it slowly.
constexpr int64_t max_first_cost_ns = 50 * 1000;

// All zeros: the next is due.
struct look_pace {
    unsigned turns;    // since the last look
    int64_t looked_ns; // when the last look was over, or began, if it found something
    int64_t cost_ns;   // what one takes that finds nothing
};

// Asked once a turn, but for one that looks in any case, or has nothing to look for.
inline bool look_pace_is_due(look_pace *self, int64_t now_ns)
{
    return ++self->turns > max_turns_without_look || now_ns - self->looked_ns >= look_share * self->cost_ns;
}

// After a look, or a wait, which says nothing of what a look costs. Keeps the average of those that found nothing; of
// others the two moments may be the same.
inline void look_pace_looked(look_pace *self, bool in_vain, int64_t before_ns, int64_t after_ns)
{
    constexpr int64_t weight = 8;
    int64_t took = after_ns - before_ns;
    self->turns = 0;
    self->looked_ns = after_ns;
    if (!in_vain)
        return;
    int64_t at_most = 2 * self->cost_ns; // the thread may not have been running
    if (at_most == 0)
        self->cost_ns = took < max_first_cost_ns ? took : max_first_cost_ns;
    else
        self->cost_ns += ((took < at_most ? took : at_most) - self->cost_ns) / weight;
}

} // namespace iocp

#endif
