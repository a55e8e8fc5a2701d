// An acceptor's lists: accepts in flight, newest first, and connections to be taken, in the order they came.
//
// Threads: with the base's lock held, all of it; what another thread may do to what is in them: acceptor_left_over.h.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_LISTS_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_LISTS_H

#include "bufferevent/accept_operation.h"

namespace iocp {

// Held from before an accept is started until it is in a list: who comes to share the socket finds it there, or has
// come before it is started.
class accepts_locked {
public:
    explicit accepts_locked(const acceptor *self);
    ~accepts_locked();
    accepts_locked(const accepts_locked &) = delete;
    accepts_locked &operator=(const accepts_locked &) = delete;

private:
    listening_socket *listening;
};

// These two with the accepts locked.
void push_pending(acceptor *self, accept_operation *accepting);
void push_done(acceptor *self, accept_operation *accepting);
// It has ended: it is in no list, or is done.
void remove_pending(acceptor *self, accept_operation *accepting);
void pending_is_done(acceptor *self, accept_operation *accepting);
// NULL: there is none.
accept_operation *pop_done(acceptor *self);
// Drops those that were taken over, and says whether any are left.
bool holds_done(acceptor *self);

} // namespace iocp

#endif
