// A connected descriptor that its program takes from a bufferevent of one base and gives to one of another: a pool of
// threads does so, or a connection that is upgraded.
//
// Its port: the base that gives it back takes the socket off its port, where Windows can do that, and the next one has it
// on its own (socket_leave_port). Elsewhere it goes by readiness there, and who has it on its port hears of its close
// (socket_registry.h).
//
// The first bufferevent gives it up before the next one is made. (Within one base, that may come after: stream_displace.)
//
// Threads: with locking on, or while the first base's loop does not run; and it is not freed at the same time. (Before that,
// or after it, it may be.)
//
// Its bytes: what the first base has received of it, and its program has not read, goes with it. The next base's stream
// holds it; without one it is kept with the descriptor's record, and comes before what the socket has. If the first base
// is freed meanwhile, the process keeps it (orphans.h). (Of a file, as a pipe is, it stays with the first base: a
// handle has no mark by which another would know it again.)
#ifndef LIBEVENT_IOCP_BUFFEREVENT_MOVING_H
#define LIBEVENT_IOCP_BUFFEREVENT_MOVING_H

#include "bufferevent/stream.h"

namespace iocp {

// What another base has kept of the socket, whose port it leaves; NULL: there is nothing, or it stays there, since
// something is in flight: moving_read finds it. No base's lock is held.
received_bytes *moving_take(const backend *owner, evutil_socket_t fd);
// Gives it to this base's stream, or its record. With the base's lock held.
void moving_give(backend *owner, evutil_socket_t fd, stream *own, received_bytes *moved);
// Of any socket bufferevent, as it is made.
void moving_note_reader(const struct bufferevent *bev);
// Bytes may be kept for an event that waits for them, and no stream of its base has them. With the base's lock held.
bool moving_is_ready(struct event_base *base, const struct event *waiting);
// As evbuffer_read, for a bufferevent without a stream, of a base of any kind. 0: there are none.
int moving_read(struct bufferevent *bev, struct evbuffer *input, int at_most);
// They are read past us: it must not look as if nothing were missing. The second: what another base has still. No
// base's lock is held.
void moving_lose(evutil_socket_t fd, received_bytes *moved);
void moving_lose_kept(const backend *owner, evutil_socket_t fd);

} // namespace iocp

#endif
