// The sending half of a stream: one gathered send at a time, whose bytes leave the evbuffer when it starts (see
// send_operation.h). So an empty output means what it means on select: every byte was taken by the kernel.
//
// An error of a send that was in flight is told to every write from then on.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_STREAM_SEND_H
#define LIBEVENT_IOCP_BUFFEREVENT_STREAM_SEND_H

#include "bufferevent/stream.h"

namespace iocp {

// True if a write would not have to wait for a send.
inline bool stream_send_ready(const stream *self)
{
    return stream_sending(self) == nullptr;
}

// As a write, for an evbuffer of our own that nobody else knows; the base's lock is held.
int stream_send_locked(stream *self, struct evbuffer *own);
// How many bytes a send in flight has.
size_t stream_send_in_flight(const stream *self);
// Lets a send in flight end by itself, and takes over what is to be sent after it (NULL: nothing).
void stream_send_let_go(stream *self, struct evbuffer *rest);

} // namespace iocp

#endif
