// How many receives, or polls, a turn starts.
//
// A receive that finds its data there costs little. One that has to wait costs a packet besides, and under load its
// data would have come by itself, had it been started a little later. The same goes for polls. So they are started one
// after the other, and what they bring is handed on before the next: after one had to wait, slowly, and faster again as
// long as all of them find something.
//
// Invariants: a turn starts until one has found something or all are started, and until max_finds have at the most; and
// nobody is overtaken, by others that come to the front, for more than max_turns_overtaken turns.
#ifndef LIBEVENT_IOCP_BACKEND_FIND_PACE_H
#define LIBEVENT_IOCP_BACKEND_FIND_PACE_H

namespace iocp {

// Those that find something in one turn, at the most; until the first does, all are started.
constexpr unsigned max_finds = 64;

// Finds until more are started at a time, and how often that doubles when it fails: to try costs a receive that waits.
constexpr unsigned finds_until_faster = 16;
constexpr unsigned max_caution = 6;

// Who is queued anew while it waits goes to the front, and may find something there each time. After so many turns that
// have left others over because of that, all are started.
constexpr unsigned max_turns_overtaken = 64;

// All zeros: as fast as can be.
struct find_pace {
    unsigned left_out;   // of max_finds: after the rest a turn starts no more
    unsigned full_turns; // how often in a row it got there
    unsigned caution;    // how often going faster has failed of late
    unsigned overtaken;  // turns that have left some over, behind others that came to the front, since none was left
    bool any_at_front;   // somebody has come there since some were last started
};

inline unsigned find_pace_most(const find_pace *self)
{
    return max_finds - self->left_out;
}

// A turn has started some: so many found something, and whether one had to wait then.
inline void find_pace_keep(find_pace *self, unsigned found, bool waited)
{
    unsigned most = find_pace_most(self);
    if (waited) {
        self->left_out = max_finds - 1;
        self->full_turns = 0;
        if (self->caution < max_caution)
            ++self->caution;
    } else if (found >= most && ++self->full_turns * most >= finds_until_faster << self->caution) {
        self->left_out = most * 2 < max_finds ? max_finds - most * 2 : 0;
        self->full_turns = 0;
        if (self->left_out == 0)
            self->caution = 0;
    }
}

// Asked before some are started: is it time for all of them?
inline bool find_pace_all_are_due(const find_pace *self)
{
    return self->overtaken >= max_turns_overtaken;
}

// Some were started, and others left over, or not.
inline void find_pace_left(find_pace *self, bool any_left)
{
    if (!any_left)
        self->overtaken = 0;
    else if (self->any_at_front)
        ++self->overtaken;
    self->any_at_front = false;
}

} // namespace iocp

#endif
