// A pool of threads as a server has it: a base each, with a listener each on one socket. Works with libevent's locking
// off, too: a loop is told to end by a byte on a socket of its own.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_POOL_H
#define LIBEVENT_IOCP_REGRESS_REAL_POOL_H

#include <atomic>

#include "real/real_base.h"

namespace real {

constexpr int most_in_pool = 64;

struct pool_worker {
    struct event_base *own_base;
    struct evconnlistener *listener;
    evutil_socket_t listening, told_to_end[2];
    int flags; // of the base
    HANDLE thread;
    std::atomic<int> accepted;
    std::atomic<bool> ready, failed;
};

struct pool {
    pool_worker workers[most_in_pool];
    int count;
    evutil_socket_t listening;
    struct sockaddr_in address;
};

// Each base is made, used and freed in its thread. The first `on_select` are on select, and all others on ports.
void pool_open(pool *self, int count, int flags, int on_select = 0);
void pool_close(pool *self);
// So many clients connect, `together` at a time, and each is greeted by whoever accepts it. How many were.
int pool_serves(pool *self, int clients, int together);
// A client that has connected; -1: it has not.
evutil_socket_t pool_connect(const struct sockaddr_in &address);
// Waits for the greeting, and closes with a reset, which leaves no port in use.
bool pool_greeted(evutil_socket_t client);

} // namespace real

#endif
