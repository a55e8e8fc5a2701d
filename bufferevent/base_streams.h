// What the bufferevents of one base share.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_BASE_STREAMS_H
#define LIBEVENT_IOCP_BUFFEREVENT_BASE_STREAMS_H

#include "bufferevent/receive_budget.h"

namespace iocp {

struct base_streams {
    receive_budget budget;
    const void *connecting;      // the bufferevent whose next descriptor is about to be connected
    const void *socket_made_for; // the one for which libevent made that descriptor
};

} // namespace iocp

#endif
