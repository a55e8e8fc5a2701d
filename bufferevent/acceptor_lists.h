// An acceptor's lists: accepts in flight, newest first, and connections to be taken, in the order they came.
//
// Threads: with the base's lock held, all of it; what another thread may do to what is in them: acceptor_left_over.h.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_LISTS_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPTOR_LISTS_H

#include "bufferevent/accept_operation.h"

namespace iocp {

void push_pending(acceptor *self, accept_operation *accepting);
void remove_pending(acceptor *self, accept_operation *accepting);
void push_done(acceptor *self, accept_operation *accepting);
// NULL: there is none.
accept_operation *pop_done(acceptor *self);

} // namespace iocp

#endif
