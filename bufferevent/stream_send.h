// The sending half of a stream: one gathered send at a time, straight from the output evbuffer's chains.
//
// The chains are pinned while the kernel reads them: libevent then neither moves nor frees them, and a chain whose
// evbuffer goes away stays until it is unpinned. The bytes leave the evbuffer when the send has ended, so that an empty
// output means that every byte was taken by the kernel.
//
// A bufferevent may be given another descriptor while a send is in flight. Its output, pinned chains at the front, goes
// on to be sent there, but not before the old send has ended and what it did send has been drained: until then the old
// send is "stranded" (kept in the backend's list) and the new stream is blocked by it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_STREAM_SEND_H
#define LIBEVENT_IOCP_BUFFEREVENT_STREAM_SEND_H

#include "bufferevent/stream.h"

namespace iocp {

// True if a write would not have to wait for a send.
bool stream_send_ready(const stream *self);
// As stream_write, for an evbuffer of our own that nobody else knows; the base's lock is held.
int stream_send_locked(stream *self, struct evbuffer *own);
// True if a send has ended and its outcome has not been taken.
bool stream_send_has_ended(const stream *self);
// How many bytes a send in flight has.
size_t stream_send_in_flight(const stream *self);
// Lets a send in flight end by itself: it is "abandoned", and known to the backend until its packet. NULL: there is none.
send_operation *stream_send_abandon(stream *self);
// Sends `rest`, whose send is abandoned at once; takes the evbuffer over. NULL: it has ended already, or failed.
send_operation *stream_send_orphan(stream *self, struct evbuffer *rest);
// Its packet closes the socket.
void send_operation_closes(send_operation *sending);
// The socket is about to be closed, and has no stream: true if an abandoned send does it.
bool stream_send_takes_socket(evutil_socket_t fd);
// Cancels the send in flight. It is stranded if `output_lives`, and frees itself by its packet if not.
void stream_send_drop(stream *self, bool output_lives);
// The evbuffer is going away: sends of it that were stranded are let go.
void stream_send_forget(backend *owner, const struct evbuffer *output);

} // namespace iocp

#endif
