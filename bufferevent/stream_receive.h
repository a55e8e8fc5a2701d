// The receiving half of a stream.
//
// An idle connection must not pin memory, and a busy one should not pay two calls a message. So a receive is either of
// zero bytes, which ends when there is something to receive (a second call takes it), or has a buffer. Which one, is
// decided when it is started: a buffer for a connection that has just received something, as long as the base's budget
// of such buffers lasts; zero bytes otherwise. When the budget is used up, the buffer that has waited longest, if that
// is long, is called back for a connection that is busier, and has paid for it (receive_budget.h).
#ifndef LIBEVENT_IOCP_BUFFEREVENT_STREAM_RECEIVE_H
#define LIBEVENT_IOCP_BUFFEREVENT_STREAM_RECEIVE_H

#include "backend/socket_record.h"
#include "bufferevent/stream.h"

namespace iocp {

// Of a new stream.
void stream_receive_init(stream *self);
// Holds the first bytes of the connection, which came with it. Takes them over.
void stream_receive_hold(stream *self, received_bytes *early);
// True if a read would not have to wait.
inline bool stream_receive_ready(const stream *self)
{
    return self->receive != receive_state::none && self->receive != receive_state::pending && !self->receive_again;
}

// Starts a receive if there is none. True if the stream is readable now.
bool stream_receive_submit(stream *self);
// How many bytes were received and wait to be read.
size_t stream_receive_held(const stream *self);
// As stream_read, into the caller's memory, and nothing is asked of the kernel unless it is known to have something.
int stream_receive_take(stream *self, char *into, int at_most);
// Nobody wants to read at present: gives up a buffer that is not in use.
void stream_receive_rest(stream *self);
// The stream goes: a receive in flight is cancelled, and frees the stream by its packet. If the socket lives on, what was
// received and not read is kept for the next bufferevent on it. What is not stays with the stream's memory, and is nobody's
// budget's: the loop's thread may be about to read it.
void stream_receive_let_go(stream *self, bool closing);

} // namespace iocp

#endif
