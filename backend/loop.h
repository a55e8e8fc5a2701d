// What one base's loop has to do in its next turn, and what its turns have done.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BACKEND_LOOP_H
#define LIBEVENT_IOCP_BACKEND_LOOP_H

#include "backend/find_pace.h"
#include "backend/first_look.h"
#include "backend/look_pace.h"
#include "backend/send_round.h"
#include "backend/source.h"
#include "backend/together_pace.h"

namespace iocp {

struct loop {
    source_list changed; // see source_place
    source_list starting;
    source_list receiving;
    source_list polling;
    source_list hinted;
    source_list to_free; // see source_free_later
    send_round round;
    find_pace receive_pace;
    find_pace poll_pace;
    look_pace look;
    first_look before_receives;
    together_pace together;
    uint64_t turn;    // how many it has made
    uint64_t packets; // how many those have dequeued
    uint64_t looks;   // how often they looked at the port without waiting
    uint64_t waits;   // and how often they waited there
    uint64_t looks_together;
    DWORD thread;    // that made its last turn
    bool is_in_turn; // it runs no callbacks
    bool retry_soon; // a start failed for want of memory: do not sleep long
    bool sent_much;  // the last turn had sends that took long: the others are not to wait for the next
    bool has_more;   // this turn has left something to the next one, and is not to wait
};

inline void loop_init(loop *self)
{
    TAILQ_INIT(&self->changed);
    TAILQ_INIT(&self->starting);
    TAILQ_INIT(&self->receiving);
    TAILQ_INIT(&self->polling);
    TAILQ_INIT(&self->hinted);
    TAILQ_INIT(&self->to_free);
}

} // namespace iocp

#endif
