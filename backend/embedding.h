// A base in somebody else's loop (event2/iocp_embed.h): a run of libevent's own loop that is left where it would wait, and
// gone on with when the outer loop has waited.
//
// It is left by a dispatch that returns -1, upon which event_base_loop returns at once and touches nothing: whatever is
// active stays so. From then on the base is marked as running again (event_base::running_loop, in this thread), since
// libevent wakes only such a base when another thread changes something. The lock is held from the dispatch that leaves to
// the mark, and from where the mark is taken away to the next dispatch: so no such change falls between the two.
//
// That takes a lock which its thread can take twice, as Windows's are. Where it cannot (evthread_use_pthreads, or lock
// debugging), the lock is let go of there, and what was changed meanwhile is looked for: only a break that is asked for just
// when a call begins is forgotten, as event_base_loop forgets one that comes before it begins.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BACKEND_EMBEDDING_H
#define LIBEVENT_IOCP_BACKEND_EMBEDDING_H

#include "compat/libevent.h"

namespace iocp {

struct backend;

enum class embedding_stage : unsigned char {
    none,   // no such run
    runs,   // in event_base_loop
    sleeps, // left where it would wait
    yields, // left before a turn, so that the outer loop has its own
};

enum class embedding_lock : unsigned char { unknown, nests, single };

// All zeros: none.
struct embedding {
    HANDLE handle; // that was given out
    int64_t wait_us;
    unsigned turns_left;
    embedding_stage stage;
    bool slept;      // the run that is gone on with has: that wait is not over
    bool holds_lock; // once more than libevent does
    embedding_lock lock;
};

// In place of loop_take_turn, while such a run is under way.
int embedding_take_turn(backend *self, const struct timeval *tv);
// There is no such run any more.
void embedding_end(backend *self);

} // namespace iocp

#endif
