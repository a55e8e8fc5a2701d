// Connecting a stream by ConnectEx.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_STREAM_CONNECT_H
#define LIBEVENT_IOCP_BUFFEREVENT_STREAM_CONNECT_H

#include "bufferevent/stream.h"

namespace iocp {

// The stream goes: a connect in flight is cancelled.
void stream_connect_let_go(stream *self);

} // namespace iocp

#endif
