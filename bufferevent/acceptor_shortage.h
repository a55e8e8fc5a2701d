// A listener when there is no memory, or no handle, for what it needs (see sys::is_shortage).
//
// Its program is told when somebody is not accepted for that: accept() has failed, an accept in flight or the last steps
// of a connection have; or no accept is in flight that takes connects, and accept() may not be called. It is not told
// that an accept more cannot be started, which nobody has missed yet: on select nothing would have failed, and many a
// program ends its loop in that callback, as libevent's manual shows it.
//
// In each case no accept is started for a while. Only after accept() itself had its shortage is that left alone, too:
// otherwise it takes who comes meanwhile, if it is spared what AcceptEx is short of.
//
// Threads: with the base's lock held, all of it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_SHORTAGE_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_SHORTAGE_H

#include "bufferevent/acceptor.h"

namespace iocp {

// The program is told by its next accept(), once a pause, however many fail in it.
void shortage_tell(acceptor *self, int error);
// An accept could not be started.
void shortage_of_start(acceptor *self, int error);
// None is to be started yet.
bool shortage_pauses_starts(acceptor *self);
// Nor is accept() to be called.
bool shortage_pauses_all(const acceptor *self);

} // namespace iocp

#endif
