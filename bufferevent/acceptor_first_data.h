// Accepting together with the first data (see event2/iocp.h).
//
// An AcceptEx with room for data ends only when data have come: a peer that connects and says nothing keeps it. So an
// accept in flight of this kind goes through stages that the kernel reports only when asked:
//
//            connected: seen by SO_CONNECT_TIME            too long, or too many
//   open ------------------------------------> silent ------------------------------> leaving
//     |                                           |                                      |
//     | packet: data, or the end of the stream    | packet: the same                     | packet: an error
//     +----------------> done <-------------------+                                      +--> freed
//
// Only open accepts take connects, so the listener's depth counts those alone. Two things look for the others: an AFD
// poll of the listening socket, which ends when connects wait in spite of the accepts in flight; and a timer.
//
// Threads: with the base's lock held, all of it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_FIRST_DATA_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_FIRST_DATA_H

#include "bufferevent/accept_operation.h"

#include "event2/iocp.h"

namespace iocp {

constexpr unsigned max_first_data = EVCONNLISTENER_IOCP_MAX_FIRST_DATA;
constexpr unsigned max_accepts_in_flight = EVCONNLISTENER_IOCP_MAX_ACCEPTS;
static_assert(max_accepts_in_flight > max_accepts, "the depth must fit, and some silent peers beside it");

// Room for first data that an accept started now has.
unsigned first_data_room(const acceptor *self);
// How many accepts in flight take no connects.
unsigned first_data_engaged(const acceptor *self);

// 0, or a Winsock code. Zero bytes turn it off.
int first_data_set(acceptor *self, unsigned bytes, int64_t patience_us);
// As many accepts are in flight as should be: sees to it that silent peers are found. True if some were: fill again.
bool first_data_filled(acceptor *self);
// The socket is about to be polled for readiness. Nothing watches it beside that: of two polls of one socket in flight,
// Windows may tell the older one alone of what both wait for.
void first_data_stop_watching(acceptor *self);
// The accept is in the list of pending ones no more.
void first_data_unlisted(acceptor *self, const accept_operation *accepting);
// Keeps what came with a connection for whoever will read from its socket. False for want of memory.
bool first_data_keep(acceptor *self, const accept_operation *taken);
// The acceptor is about to go. May let go of the lock, to wait for the timer's callback in another thread.
void first_data_free(acceptor *self);

} // namespace iocp

#endif
