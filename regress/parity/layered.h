// The state of one run of a script of layers (see layers.h).
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_LAYERED_H
#define LIBEVENT_IOCP_REGRESS_PARITY_LAYERED_H

#include "layers.h"
#include "peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

namespace parity {

struct layered;

// What a program uses: one end of a pair, or a filter.
struct layer_end {
    layered *of;
    int index;
    struct bufferevent *bev; // NULL: there is none, or it was freed
    bool takes;              // what it reads
    bool blurred;            // how the bytes are cut up on their way decides when it reads
    int hook; // 1: stops reading, 2: frees itself, of a pair, 3: frees itself at the end of what it reads
    size_t written;
    size_t taken;

    bool was_read;
    std::string events;
};

struct layered {
    struct event_base *base;
    struct event *tick;
    stack how;
    layer_end ends[2];
    struct bufferevent *below; // what a filter is over
    connection on;
    bool has_socket;
    bool closes_socket;
    bool below_ends_with_top;
    filter_way ways[2]; // of what comes in, and goes out
    size_t came;        // through the filter, of what the peer has sent
    size_t left;        // the output of the socket's bufferevent
    std::string expected, got;
    std::string wrong;
    trace out;
};

// The two filters, whose argument is a layered.
enum bufferevent_filter_result comes_in(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit,
                                        enum bufferevent_flush_mode mode, void *argument);
enum bufferevent_filter_result goes_out(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit,
                                        enum bufferevent_flush_mode mode, void *argument);

} // namespace parity

#endif
