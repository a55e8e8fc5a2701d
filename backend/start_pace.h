// How many receives and polls a turn starts, and how often the port is looked at, while there is something to do without it.
//
// A receive that finds its data there costs little. One that has to wait costs a packet besides, and under load its data
// would have come by itself, had it been started a little later. The same goes for polls. So whatever can be sent is sent
// first, they are started one after the other, and what they bring is handed on before the next: after one had to wait,
// slowly, and faster again as long as all of them find something.
//
// But nobody sends twice before others have had their chance to receive, be it by a packet. A sender that gets ahead of
// a receiver in the same base stays ahead: from then on each sends and receives as much in a turn, and all that was sent
// in between is a queue in the kernel that never gets shorter, and whose memory is cold by the time it is read.
#ifndef LIBEVENT_IOCP_BACKEND_START_PACE_H
#define LIBEVENT_IOCP_BACKEND_START_PACE_H

#include <stdint.h>

namespace iocp {

// Receives that find something in one turn, at the most, and as many polls; until the first does, all are started.
constexpr unsigned max_finds = 64;

// While there is always something to do without it, the port is looked at when that takes no more than such a share of
// the time since the last look. What a look costs differs much from system to system (some 0.4 us on Windows, so that one
// comes every 13 us there), and is measured.
constexpr int64_t look_share = 32;
// Nor do more turns than these go by without one.
constexpr unsigned max_turns_without_look = 64;

// If receives and polls have not had their turn for so many turns, all of them are started when a look is due.
constexpr unsigned max_turns_held_back = 8;

// Before receives are started, packets may have come whose owners are to send first. After a look for those that brought
// nothing, so many are left out.
constexpr unsigned looks_left_out = 31;
// So many in a row may bring packets before receives get their turn all the same.
constexpr unsigned max_looks_in_row = 8;

// After a look at many sockets together that found none of them ready, so many are left out, twice as many each time.
constexpr unsigned max_looks_together_left_out = 32;

// Who is queued anew while it waits goes to the front, and may find something there each time. After so many turns that
// have left others over because of that, all are started.
constexpr unsigned max_turns_overtaken = 64;

// How many of one kind are started at a time.
struct find_pace {
    unsigned left_out;   // of max_finds: after the rest a turn starts no more
    unsigned full_turns; // how often in a row it got there
    unsigned caution;    // how often going faster has failed of late
    unsigned overtaken;  // turns that have left some over, behind others that came to the front, since none was left
    bool any_at_front;   // somebody has come there since some were last started
};

struct start_pace {
    find_pace receives;
    find_pace polls;
    unsigned turns;       // since the last look
    int64_t looked_ns;    // when the last look was over
    int64_t look_cost_ns; // what one takes that finds nothing
    unsigned looks_to_leave_out;
    unsigned turns_without_start; // since receives and polls had their turn
    unsigned looks_in_row;        // the same, of those that brought packets
    unsigned rounds;              // of receives
    bool sender_is_ahead;         // is about to send once more in this round
    unsigned looks_together_left_out;
    unsigned looks_together_to_leave_out;
};

inline unsigned pace_finds(const find_pace *pace)
{
    return max_finds - pace->left_out;
}

// A turn has started some: so many found something, and whether one had to wait then.
inline void pace_keep(find_pace *pace, unsigned found, bool waited)
{
    // Finds until more are started at a time, and how often that doubles: to try costs a receive that waits.
    constexpr unsigned finds_until_faster = 16;
    constexpr unsigned max_caution = 6;
    unsigned finds = pace_finds(pace);
    if (waited) {
        pace->left_out = max_finds - 1;
        pace->full_turns = 0;
        if (pace->caution < max_caution)
            ++pace->caution;
    } else if (found >= finds && ++pace->full_turns * finds >= finds_until_faster << pace->caution) {
        pace->left_out = finds * 2 < max_finds ? max_finds - finds * 2 : 0;
        pace->full_turns = 0;
        if (pace->left_out == 0)
            pace->caution = 0;
    }
}

// Asked once a turn that has something to do without it: is it time for a look at the port?
inline bool pace_look_is_due(start_pace *pace, int64_t now_ns)
{
    return ++pace->turns > max_turns_without_look || now_ns - pace->looked_ns >= look_share * pace->look_cost_ns;
}

// After a look, or a wait, which says nothing of what a look costs. Keeps the average of those that found nothing.
inline void pace_looked(start_pace *pace, bool in_vain, int64_t before_ns, int64_t after_ns)
{
    constexpr int64_t weight = 8;
    int64_t took = after_ns - before_ns;
    pace->turns = 0;
    pace->looked_ns = after_ns;
    if (!in_vain)
        return;
    int64_t at_most = 2 * pace->look_cost_ns; // the thread may not have been running
    if (at_most == 0)
        pace->look_cost_ns = took;
    else
        pace->look_cost_ns += ((took < at_most ? took : at_most) - pace->look_cost_ns) / weight;
}

// Asked once a turn: have receives and polls not had their turn for long, since something else was ready each time?
inline bool pace_starts_held_back(start_pace *pace)
{
    return ++pace->turns_without_start > max_turns_held_back;
}

inline void pace_started(start_pace *pace)
{
    pace->turns_without_start = 0;
    pace->looks_in_row = 0;
}

// Asked before some of one kind are started: is it time for all of them?
inline bool pace_all_are_due(const find_pace *pace)
{
    return pace->overtaken >= max_turns_overtaken;
}

// Some were started, and others left over, or not.
inline void pace_left(find_pace *pace, bool any_left)
{
    if (!any_left)
        pace->overtaken = 0;
    else if (pace->any_at_front)
        ++pace->overtaken;
    pace->any_at_front = false;
}

// What a source keeps when it sends.
inline unsigned pace_round(const start_pace *pace)
{
    return pace->rounds + 1;
}

// A source can send, and will most likely.
inline void pace_will_send(start_pace *pace, unsigned sent_in_round)
{
    pace->sender_is_ahead = pace->sender_is_ahead || sent_in_round == pace_round(pace);
}

inline void pace_begin_round(start_pace *pace)
{
    ++pace->rounds;
    pace->sender_is_ahead = false;
}

// Asked before receives are started while others are in flight.
inline bool pace_may_look_first(start_pace *pace)
{
    if (pace->looks_in_row >= max_looks_in_row)
        return false;
    if (pace->looks_to_leave_out == 0)
        return true;
    --pace->looks_to_leave_out;
    return false;
}

inline void pace_looked_first(start_pace *pace, bool brought_packets)
{
    if (brought_packets)
        ++pace->looks_in_row;
    else
        pace->looks_to_leave_out = looks_left_out;
}

// Asked when several sockets of plain events could be looked at by one call.
inline bool pace_may_look_together(start_pace *pace)
{
    if (pace->looks_together_to_leave_out == 0)
        return true;
    --pace->looks_together_to_leave_out;
    return false;
}

inline void pace_looked_together(start_pace *pace, unsigned found)
{
    unsigned longer = pace->looks_together_left_out * 2 + 1;
    if (longer > max_looks_together_left_out)
        longer = max_looks_together_left_out;
    pace->looks_together_left_out = found > 0 ? 0 : longer;
    pace->looks_together_to_leave_out = pace->looks_together_left_out;
}

} // namespace iocp

#endif
