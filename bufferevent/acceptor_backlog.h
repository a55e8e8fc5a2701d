// Connections that wait in a listener's backlog, taken by accept().
//
// One that waits already comes cheaper by accept() than by an AcceptEx started for it: that wants a socket made first,
// a packet, and a last step. But an accept() that finds nothing is a call wasted. What decides is that accepts in
// flight come first: while one of them has not ended, nothing waits. So accept() is tried when all have ended, as in a
// burst of connects, and when one has ended in the call that started it. A connection now and then leaves others in
// flight.
//
// Under load, when it has found somebody, no accepts are started for the next ones: it is tried again when the
// listener's turn comes among those who receive, which is before the loop sleeps. The first time that finds nobody,
// they are.
//
// The first data of connections come by AcceptEx only: with them asked for, accept() is never called. Nor is it where
// sockets are not to be inherited (LEV_OPT_CLOSE_ON_EXEC): only those made for an AcceptEx are safe from the first. What
// accept() makes is told of in the same pass of the loop (but where priorities or a break come between), or withdrawn.
//
// Threads: with the base's lock held, all of it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_BACKLOG_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_BACKLOG_H

#include "bufferevent/acceptor.h"

namespace iocp {

// Taken in one go at the most; then other sources get their turn.
constexpr unsigned max_taken_in_turn = 256;

// Where the backlog may be taken from, so many connections of a turn make for one accept in flight.
constexpr unsigned connections_per_accept = 4;
static_assert(max_taken_in_turn >= connections_per_accept * max_accepts, "the depth can reach its bound");

// This listener's connections may be taken so.
bool backlog_is_open(const acceptor *self);
// Some may wait now: the listener is readable by it.
bool backlog_is_due(const acceptor *self);
// Nothing is in flight, and the backlog is to be looked at before anything is started.
bool backlog_comes_first(const acceptor *self);
// An accept is in flight no more: if it was the last, some may wait.
void backlog_accept_ended(acceptor *self);
// An accept found its connection waiting: so may others.
void backlog_accept_found(acceptor *self);
// Looks whether somebody waits, by taking the first, which is then among the accepts that are done: 0, or as
// backlog_take. 0, too, for want of memory for that: backlog_take is to look. `ops`: an accept's.
int backlog_look(acceptor *self, const completion_ops *ops);
// 0 with a connection, or a Winsock code; WSAEWOULDBLOCK when none waits, or enough were taken.
int backlog_take(acceptor *self, int flags, SOCKET *taken, struct sockaddr_storage *peer, int *length);
// Nobody is told while the listener is disabled: no child process inherits what has been taken for it by then.
void backlog_withdraw(acceptor *self);
// Gives what accept() made the mode that was asked for: 0, or why it is of no use. `inherited`: so far.
int backlog_set_mode(SOCKET taken, bool inherited, int flags);

} // namespace iocp

#endif
