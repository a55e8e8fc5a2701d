// What the bufferevents of one base share.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_BASE_STREAMS_H
#define LIBEVENT_IOCP_BUFFEREVENT_BASE_STREAMS_H

#include "bufferevent/receive_budget.h"
#include "bufferevent/send_growth.h"

namespace iocp {

struct backend;
struct completion;

// Sends that have ended, whose chains are freed in the loop's thread. Kept by sent_chains.cpp.
struct sent_chains {
    SIMPLEQ_HEAD(, completion) waiting; // in the order they ended
    struct event_callback frees;        // active while any waits
    void (*free_all)(backend *owner);   // NULL: none has ever waited
};

// Sends that are not in use, for the next that starts: an idle stream has none. Kept by send_operation.cpp.
struct idle_sends {
    SIMPLEQ_HEAD(, completion) operations;
    unsigned count;
};

struct base_streams {
    receive_budget budget;
    sent_chains sent;
    idle_sends idle;
    send_growth growth;
    bool new_ones_wait; // when a connection was last accepted, its first bytes had not come
};

} // namespace iocp

#endif
