// What is kept for each of libevent's listeners, of bases of all kinds, from the call that makes it to the one that
// frees it.
//
// Threads: safe from any. (Nobody else uses a listener while it is freed.)
#ifndef LIBEVENT_IOCP_BUFFEREVENT_LISTENER_H
#define LIBEVENT_IOCP_BUFFEREVENT_LISTENER_H

#include "compat/libevent.h"

namespace iocp {

struct acceptor;
struct listening_sharer;
struct listening_socket;

struct listener_record {
    const struct evconnlistener *listener;
    listening_socket *listening;
    listening_sharer *sharer; // NULL: it has no part in the round
    acceptor *own;            // NULL: the base is not on a port, or the socket cannot be, or is left open
    LIST_ENTRY(listener_record) listed;
};

// NULL: it goes by readiness, like any other socket.
acceptor *listener_acceptor(const struct evconnlistener *listener);

} // namespace iocp

#endif
