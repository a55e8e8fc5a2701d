// What one base's loop has to do in its next turn, and what its turns have done.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BACKEND_LOOP_H
#define LIBEVENT_IOCP_BACKEND_LOOP_H

#include "backend/source.h"
#include "backend/start_pace.h"

namespace iocp {

struct loop {
    source_list changed; // see source_place
    source_list starting;
    source_list receiving;
    source_list polling;
    source_list to_free; // see source_free_later
    start_pace pace;
    uint64_t turn;    // how many it has made
    uint64_t packets; // how many those have dequeued
    uint64_t looks;   // how often they looked at the port without waiting
    uint64_t waits;   // and how often they waited there
    uint64_t looks_together;
    bool retry_soon; // a start failed for want of memory: do not sleep long
};

void loop_init(loop *self);

} // namespace iocp

#endif
