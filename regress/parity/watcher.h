// One event of a program that does its own I/O, and what the program does when it is told.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_WATCHER_H
#define LIBEVENT_IOCP_REGRESS_PARITY_WATCHER_H

#include "peer.h"
#include "script.h"
#include "world.h"

#include <event2/event.h>

namespace parity {

constexpr int max_watchers = 6;
constexpr int max_descriptors = 2;

// What it does when it is told; it always stops when told of a timeout, or at the end of what it reads.
enum class manner {
    leaves, // nothing: while it is ready it is told again
    stops,
    takes_all,
    takes_some,
    writes_and_stops,
    echoes_by_switching, // one event, for reading and for writing in turns
    echoes_and_rearms,   // deletes and adds its event
    echoes_beside,       // the watcher after it writes what it has read, and reads on itself
    count
};

// What it does the next time instead.
enum class deed {
    del,
    free_itself,
    rearm,
    turn_round, // waits for the other of reading and writing
    add_other,
    del_other,
    free_other,
    activate_other,
    send,
    receive,
    reuse_number,
    none
};

struct plain_world;

struct watcher {
    plain_world *of;
    int index;
    struct event *made; // NULL: none, or freed
    int descriptor;
    short events;
    manner how;
    int priority;
    bool hurries; // its timeout comes at once
    deed next;
    int other;
    int bytes;
    std::string held; // to be echoed

    // The step's notes.
    int calls;
    short told;
    bool timed_out;
    bool was_activated; // by the program
    int told_lately;    // times, since anything changed
    short told_of_lately;
    unsigned changes;
};

struct plain_descriptor {
    connection on;
    size_t written;       // of the program's own stream
    std::string expected; // all that it has sent
    std::string got;
    size_t checked;
    bool was_stalled;     // how much was sent is chance
    std::string order[2]; // in which who reads, and who writes, was told for the first time in the step
};

struct plain_world {
    struct event_base *base;
    struct event *tick;
    bool waits;
    int priorities;
    watcher watchers[max_watchers];
    plain_descriptor descriptors[max_descriptors];
    int descriptor_count;
    int next_connection;
    unsigned changes; // of anything that readiness may depend on
    std::string wrong;
    trace out;
};

void watcher_make(watcher *self, int descriptor, short events, manner how);
void watcher_add(watcher *self, const struct timeval *timeout);
void watcher_del(watcher *self);
void watcher_free(watcher *self);
// Those that are told all the time, and leave none of lower priority its turn.
bool watcher_is_insistent(const watcher *self);
// Its waiting for the one hangs on what is told of the other.
bool watcher_goes_to_and_fro(const watcher *self);
void watcher_set_priority(watcher *self, int priority);
void watcher_activate(watcher *self, short what);
short watcher_pending(const watcher *self);

// By the program. Bytes sent or received.
int descriptor_send(plain_world *w, plain_descriptor *on, int bytes);
int descriptor_receive(plain_world *w, plain_descriptor *on, int bytes, bool *ended, std::string *into);
void descriptor_reuse(plain_world *w, plain_descriptor *on, bool deletes, bool by_libevent);

} // namespace parity

#endif
