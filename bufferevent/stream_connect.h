// Connecting a stream by ConnectEx.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_STREAM_CONNECT_H
#define LIBEVENT_IOCP_BUFFEREVENT_STREAM_CONNECT_H

#include "bufferevent/stream.h"

namespace iocp {

// Cancels the connect in flight.
void stream_connect_drop(stream *self);

} // namespace iocp

#endif
