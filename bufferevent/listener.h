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

struct listener_part;

struct listener_record {
    struct evconnlistener *listener;
    evconnlistener_cb callback; // what a part of it on another base calls, too (see listener_bases.h)
    evconnlistener_errorcb error_callback;
    void *argument;
    unsigned flags;
    bool is_disabled;
    unsigned part_count;
    LIST_HEAD(, listener_part) parts;
    listening_socket *listening;
    listening_sharer *sharer; // NULL: it has no part in the round
    acceptor *own;            // NULL: the base is not on a port, or the socket cannot be, or is left open
    LIST_ENTRY(listener_record) listed;
};

// The record of a listener, or NULL. The caller sees to it that nobody frees that meanwhile.
listener_record *listener_find(const struct evconnlistener *listener);
// NULL: it goes by readiness, like any other socket.
acceptor *listener_acceptor(const struct evconnlistener *listener);

} // namespace iocp

#endif
