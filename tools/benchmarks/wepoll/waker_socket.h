// Wakes an epoll from another thread by a byte over a pair of sockets: wepoll has no event of its own for that.
#ifndef LIBEVENT_IOCP_BENCH_WEPOLL_WAKER_SOCKET_H
#define LIBEVENT_IOCP_BENCH_WEPOLL_WAKER_SOCKET_H

#include "tools/benchmarks/wepoll/epoll.h"

namespace bench {

class waker_socket final : private watched {
public:
    void open(epoll *, void (*woken)(void *), void *argument);
    void wake(); // from any thread

private:
    static void on_ready(watched *, uint32_t events);

    SOCKET sender;
    void (*woken)(void *);
};

} // namespace bench

#endif
