// The buffer of a stream's receive: whether it has one, how large, and how much of that the base can afford.
//
// The buffer lives until the packet. What was received stays in it until it is read.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_BUFFER_H
#define LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_BUFFER_H

#include "bufferevent/stream.h"

namespace iocp {

// Size of the buffer of a file that has been quiet, where a receive cannot wait without one.
constexpr unsigned cold_receive_size = 256;

// The stream is let go: its buffer is in use no more, and of nobody's budget. It stays until the packet.
void receive_leave(stream *self);
// Bytes came for one that had no buffer, or a small one: with one, they would have been here already.
void receive_paid_a_call(stream *self);

// In flight with a buffer that may be called back: kept in the order of their start, so that the coldest can be found.
void receive_list_append(receive_budget *budget, received_bytes *waiting);
void receive_list_remove(receive_budget *budget, received_bytes *waiting);

void receive_release_buffer(stream *self);
// A buffer of `size` bytes, whatever the budget says. False for want of memory.
bool receive_allocate_buffer(stream *self, unsigned size);
// libevent's cleanup of a buffer that was handed to an evbuffer as it was.
void receive_free_handed_over(const void *data, size_t length, void *received);
// Gives the receive, which is to wait, a buffer if its connection deserves one and the budget has room; or a small one
// where it needs one. False if there is none, for want of memory.
bool receive_provide_buffer(stream *self);

// The descriptor may live on, and another bufferevent read from it: what was received ahead of need is kept for that. If it
// cannot be, the next reader is told, or the log.
void receive_give_back(stream *self);
// Its next reader would go on without these.
void receive_lose(const stream *self, unsigned bytes, const char *why);

// By a reader, who need not have the lock: the kernel had no memory, and the next receive waits for some. Returns what the
// reader is told.
int receive_wait_for_memory(stream *self);

} // namespace iocp

#endif
