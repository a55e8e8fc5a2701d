// One base, one descriptor, one event for each of EV_READ, EV_WRITE and EV_CLOSED, and what a model says of them: the
// smallest world in which the readiness machine can go wrong. Driven by actions, so that a search can replay them.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_ONE_SOCKET_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_ONE_SOCKET_H

#include <string>
#include <vector>

#include "support/fake_kernel.h"

#include "backend/backend.h"
#include "backend/socket_interest.h"

namespace iocp {

enum slot { slot_read, slot_write, slot_closed, slot_count };

enum class action {
    add_read,
    add_write,
    add_closed,
    del_read,
    del_write,
    del_closed,
    turn,       // one turn of the loop; packets stay held
    turn_first, // one, with the oldest held packet
    turn_last,  // one, with the newest
    turn_all,
    data_comes,
    data_goes,
    room_comes,
    room_goes,
    peer_finishes,
    peer_aborts,
    connect_fails,
    thread_ends,
    close,
    reopen, // another socket under the same number
    start_short_of_memory,
    start_fails,
    count
};

// What each event waits for, as libevent and as AFD say it.
constexpr short slot_events[slot_count] = {EV_READ, EV_WRITE, EV_CLOSED};
constexpr ULONG slot_levels[slot_count] = {
    sys::afd_receive | sys::afd_accept | sys::afd_disconnect | sys::afd_abort | sys::afd_connect_failed,
    sys::afd_send | sys::afd_abort | sys::afd_connect_failed,
    sys::afd_disconnect | sys::afd_abort,
};

const char *action_name(action which);

struct world_options {
    bool layered;      // under a layered provider
    bool written_late; // the kernel writes results only when the packet is taken
    bool pends_although_ready;
    bool cancels_lose; // a cancelled poll ends as if it had not been
};

struct world {
    world_options options;
    struct event_base *base;
    struct event events[slot_count];
    SOCKET fd;
    bool open;
    bool added[slot_count];
    bool stale[slot_count]; // of a socket that was closed without event_del
    // Since interest was there without end, a socket was closed: its last packet may be on the way, and nothing tells
    // it from the next socket's.
    bool closed_under_events;
    bool start_failed;        // once, by start_fails
    bool excused[slot_count]; // since it was added, something happened that any event may report
    bool told_since_add[slot_count];
    int told[slot_count];   // how often since reset by the model
    ULONG seen[slot_count]; // AFD events that held when it was added, when a turn began, or since then
    std::string broken;     // the first thing that went against the model
};

void world_open(world *self, const world_options &options);
// Frees the base and looks for leaks.
void world_close(world *self);
// False: the action makes no sense in this state (nothing was done).
bool world_act(world *self, action which);
// The invariants that hold at any time.
void world_check(world *self);
// Lets everything settle, then checks that what is ready was told, and that what is not will be.
void world_settle(world *self);
// All that the future depends on.
std::string world_signature(const world *self);

// Parts of the above.
void world_breaks(world *self, const char *what, int slot = slot_count);
void world_turn(world *self); // one that looks at the port; those that hand on what was ready at once may not
bool world_set_bits(world *self, ULONG bits, bool on);
const poll_socket *world_poll(const world *self);
short world_wanted(const world *self);
bool world_is_dead(const world *self);

} // namespace iocp

#endif
