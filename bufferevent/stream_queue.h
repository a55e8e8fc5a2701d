// Bytes that a stream was handed to send, and keeps until they are sent: what TLS makes of a program's output.
//
// On a socket, the kernel takes such bytes at once, and then the program may close the socket at any moment and they
// are still sent. So when the stream goes, what it was handed goes with its send (see backend/socket_lingering.h).
//
// Threads: with the base's lock held, all of it; nothing waits.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_STREAM_QUEUE_H
#define LIBEVENT_IOCP_BUFFEREVENT_STREAM_QUEUE_H

#include "bufferevent/stream.h"

#include <atomic>

namespace iocp {

// While so many bytes wait or are in flight, no more are taken; and while so many do, no last ones either.
constexpr size_t max_queued = 64 * 1024;
constexpr size_t max_queued_at_last = 2 * max_queued;

// Who else keeps a pointer to a stream (see tls_bio.h). What it says of the end is written before the pointer is set to
// NULL, and holds until the next stream is seen.
struct stream_sight {
    std::atomic<stream *> used; // NULL: there is none, or it has gone
    bool is_closed;             // with its socket: what it had received is missing from what the kernel has
    bool is_closed_under;       // and who sees it has not asked for that, and is to be told
    bool leaves_rest;           // what it had to send is on its way, and may be overtaken
};

// What was said of the last one holds no more: there is another socket, or another stream.
inline void stream_sight_forget_end(stream_sight *self)
{
    self->is_closed = self->is_closed_under = self->leaves_rest = false;
}

struct stream_queue {
    struct evbuffer *bytes; // NULL: nothing ever was
    stream_sight *seen_by;  // NULL: nobody keeps a pointer
};

// Who keeps a pointer from now on. False for want of memory.
bool stream_set_seen_by(stream *self, stream_sight *by);
bool stream_is_seen(const stream *self);
// Its program closes the socket by itself, next.
void stream_will_close_under(const stream *self);
// Nobody does any more: sets the pointer to NULL. `closing`: the stream goes, and its socket is closed next.
void stream_unseen(stream *self, bool closing);

// Reads as from a non-blocking socket: the count of bytes, 0 at the end of the stream, -1 with the socket error.
int stream_take(stream *self, char *into, int at_most);

// Queues all of it and returns the count, or -1 with the socket error: WSAEWOULDBLOCK while there is no room, or that
// of an earlier send. It is sent by stream_flush, or by the next turn of the loop.
//
// The last ones (`is_last`) find room behind what has filled it: who says goodbye does not come again.
int stream_put(stream *self, const char *bytes, int length, bool is_last = false);
// Sends what is queued, as one send if it can. 0, or -1 with the socket error.
int stream_flush(stream *self);

// True if what is put now, and flushed, is with the kernel: nothing is in flight. (A put is taken all the same.)
bool stream_queue_has_room(const stream *self);
// True if there is something that nobody has flushed.
bool stream_queue_waits(const stream *self);
// Once a turn: sends what nobody has flushed.
void stream_queue_submit(stream *self);
// The stream goes: what it was handed is sent by itself.
void stream_queue_let_go(stream *self);

} // namespace iocp

#endif
