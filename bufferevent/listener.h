// What is kept for each of libevent's listeners, of bases of all kinds, from the call that makes it to the one that
// frees it.
//
// Threads: safe from any. With LEV_OPT_THREADSAFE a callback may use a listener that another thread frees meanwhile: as
// libevent's own part of it stays until the callback has ended, so does the record for a listener_use.
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
    unsigned users; // of the memory, with the table's lock: the listener, and each listener_use
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
// The same for as long as it lives, whoever frees the listener.
class listener_use {
public:
    explicit listener_use(const struct evconnlistener *listener);
    ~listener_use();
    listener_use(const listener_use &) = delete;
    listener_use &operator=(const listener_use &) = delete;

    listener_record *const of; // NULL: there is none, or it has been freed
};

// Waits for them. Nobody finds it any more.
void listener_await_uses(const listener_record *freed);
// NULL: it goes by readiness, like any other socket.
acceptor *listener_acceptor(const struct evconnlistener *listener);

} // namespace iocp

#endif
