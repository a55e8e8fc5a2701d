// A listener on a pipe. As many instances as its program asks for wait for clients, each with a ConnectNamedPipe in
// flight; the one event of the listener tells of those that came, makes new ones, and tries again after a pause where
// that failed.
//
// The name is the listener's as long as any instance of it is open: the last one is not handed on, or closed, before
// there is another.
//
// Threads: with the base's lock held, but for the program's callbacks.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_PIPES_PIPE_LISTENER_H
#define LIBEVENT_IOCP_BUFFEREVENT_PIPES_PIPE_LISTENER_H

#include "bufferevent/pipes/pipe_instance.h"
#include "bufferevent/pipes/pipe_name.h"

#include "event2/iocp_pipe.h"

namespace iocp {

// Between an error and the next try.
constexpr int64_t pipe_pause_us = 1000 * 1000 / EVPIPELISTENER_IOCP_ERRORS_A_SECOND;

} // namespace iocp

struct evpipelistener {
    struct event tells; // active or, after an error, timed
    iocp::backend *owner;
    evpipelistener_cb cb;
    evpipelistener_errorcb error_cb;
    void *arg;
    void *security;                       // a copy
    iocp::pipe_instance_list idle;        // a client may connect to them, and nothing is in flight that would tell
    iocp::pipe_instance_list waiting;     // in flight
    iocp::pipe_instance_list with_client; // not told of yet, in the order they came
    unsigned wanted;
    unsigned waiting_count;
    unsigned open_count; // of all three
    int64_t pause_until_us;
    int error; // to be told; 0: none
    bool enabled;
    bool tells_now; // its event's callback runs
    bool freed;     // meanwhile
    iocp::pipe_path path;
};

#endif
