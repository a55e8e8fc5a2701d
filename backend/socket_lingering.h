// Sockets that outlive whoever used them: what has been handed to the kernel is sent to its end, and a socket is closed
// by the packet of the last send in flight on it.
//
// On select, a program may close a socket when the kernel has taken its bytes, and they are delivered all the same.
// Here, a send in flight is what the kernel has taken: it is let go, never cancelled to get rid of it. (To close a socket
// over a pending operation may reset the connection. Over one that was cancelled it does not, as AFD has let go of that:
// its packet is not waited for, since there may be no further turn of the loop, and the peer is to see the end. That of a
// file is.)
//
//   in use -- operation let go --> lingering -- evutil_closesocket --> closing -- last packet --> closed
//                                      |                                  |
//                                      +-- last packet --> nothing left   +-- too long, or too many bytes of one base:
//                                                                             cancelled, and then closed by a reset
//
// A file (a pipe, a serial port) is closed so, too, and without a reset.
//
// What is to be closed is inherited by no child process any more: it would be open there, and its peer would see no end.
//
// A socket that is not closed, since the program has taken it back, has no limit: as on select, its bytes wait for its
// peer.
//
// Threads: with the base's lock held, all of it.
#ifndef LIBEVENT_IOCP_BACKEND_SOCKET_LINGERING_H
#define LIBEVENT_IOCP_BACKEND_SOCKET_LINGERING_H

#include "backend/socket_record.h"

#include "event2/iocp.h"

namespace iocp {

struct completion;

// What a send keeps of its socket once nobody waits for it: the socket's record, and which of its lives.
struct lingering_on {
    socket_record *record;
    completion *operation;
    LIST_ENTRY(lingering_on) listed;         // the record's
    TAILQ_ENTRY(lingering_on) listed_closed; // the base's, if its socket was closed
    socket_life life;
    bool is_closed;
    uint32_t closed_ms; // when, by linger_now_ms
    uint32_t bytes;     // that are still to be sent
};

// What a base keeps of the sends of sockets that were closed. (What was cancelled ends soon by itself.)
struct lingering_state {
    TAILQ_HEAD(, lingering_on) closed; // in that order
    size_t bytes;                      // of these
    size_t bytes_on_the_way;           // in all sends that nobody waits for, of sockets that were not closed, too
    struct event timer;
    bool is_assigned;
    uint32_t limit_ms; // 0: the defaults hold
    size_t limit_bytes;
};

void linger_init(lingering_state *self);
// How many bytes may be on their way of sockets that were closed.
size_t linger_limit_bytes(const lingering_state *state);

// How long a base that is freed waits for bytes that are on their way: they count as sent.
constexpr int64_t lingering_at_free_us = 500 * 1000;

// How often the limit is looked at, at most, within its time.
constexpr uint32_t linger_looks = 64;

// A send starts on the socket as it is now.
void linger_note_life(lingering_on *self, socket_record *record);
// The send is in flight, and nobody waits for it any more. (If the socket was closed since it started, what has its number
// now has nothing to do with it.)
void linger_begin(lingering_on *self, socket_record *record, completion *operation, size_t bytes);
// What it sends was made longer by ours, not by its program: so many times the limit are added to what it may take, until
// nothing lingers on the socket any more.
void linger_longer(socket_record *record, size_t times);
// Its packet has come, but the socket is the same, not past its limit, and has lost nothing: more may be sent on it.
bool linger_goes_on(const lingering_on *self);
// Not all that was handed over can be sent, and the peer must not take a part for the whole. (Of a send that its owner
// waits for, too.)
void linger_fail(lingering_on *self);
// That has happened, to this socket and not to one that had its number before.
bool linger_has_lost_bytes(socket_record *record);
// Its packet has come. May close the socket.
void linger_end(lingering_on *self);

// The same of an operation that is cancelled, of which no more need be known than the life that the first returns.
socket_life linger_begin_cancelled(socket_record *record);
void linger_end_cancelled(socket_record *record, socket_life life);

// The socket is to be closed, or shut down for sending. True: it will be, when nothing is in flight on it any more.
// False: it is up to the caller.
bool linger_close(socket_record *record);
bool linger_shutdown(socket_record *record);

// The socket is gone, or has become another one.
void linger_forget(socket_record *record);

// For a base that is freed: true while bytes are still on their way.
bool linger_sends(const backend *owner);
// Nothing lingers any longer: what has not been sent yet is not.
void linger_stop(backend *owner);

} // namespace iocp

#endif
