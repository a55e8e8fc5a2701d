// How many operations a turn starts, and how often the port is looked at, while there is something to do without it.
//
// A receive that finds its data there costs little. One that has to wait costs a packet besides, and under load its data
// would have come by itself, had it been started a little later. So receives are started one after the other, what they
// bring is handed on first, and they are started faster only as long as all of them find something.
#ifndef LIBEVENT_IOCP_BACKEND_START_PACE_H
#define LIBEVENT_IOCP_BACKEND_START_PACE_H

namespace iocp {

// Sources found ready by starting something in one turn, at the most; the first is always looked for.
constexpr unsigned max_finds = 64;

// Turns that hand over what was ready at once without looking at the port, which would cost a call. What has arrived
// there waits no longer than that. After a look that brought nothing, the next comes later.
constexpr unsigned min_turns_without_look = 8;
constexpr unsigned max_turns_without_look = 16;

struct start_pace {
    unsigned finds;      // after so many a turn starts nothing more; 0: not set yet
    unsigned full_turns; // how often in a row it got there
    unsigned turns;      // since the last look
    unsigned patience;   // turns until the next look; 0: not set yet
};

} // namespace iocp

#endif
