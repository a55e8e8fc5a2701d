// What the wepoll rows share: an epoll, and connections that send what goes at once.
//
// They are written as its user would: sockets do not block, readiness is level-triggered, events are taken in batches,
// a send is tried first, and EPOLLOUT is asked for only when the socket did not take all of it. (For wepoll to add an
// event to those that it polls for is to cancel that poll and to begin another.)
#ifndef LIBEVENT_IOCP_BENCH_WEPOLL_EPOLL_H
#define LIBEVENT_IOCP_BENCH_WEPOLL_EPOLL_H

#include "tools/benchmarks/common/bench.h"

#include <wepoll.h>

#include <vector>

namespace bench {

// A socket that waits to be ready.
struct watched {
    void (*ready)(watched *, uint32_t events);
    void *context;
    SOCKET socket;
};

class epoll {
public:
    epoll();
    void add(watched *, uint32_t events);
    void change(watched *, uint32_t events);
    void close_socket(watched *);
    // Works until stop() is called by who was ready.
    void run();
    void stop() { stopped = true; }
    // Waits so long (-1: for ever) for a batch of events, and tells who waited for them.
    void turn(int timeout_ms);
    void close();

private:
    void control(int operation, watched *, uint32_t events);

    HANDLE handle;
    bool stopped = false;
};

// Receives once, into a buffer that all connections of the loop share: 0 at the end of the stream, -1 where there is
// nothing.
constexpr int receive_size = 64 * 1024;
extern char receive_buffer[receive_size];
int receive_some(SOCKET socket);

// One end of a connection.
class stream : public watched {
public:
    // Gets what was received, which is used up or copied in there; no bytes for the end of the stream.
    using received_function = void (*)(stream *, const char *data, size_t length);

    // On a connected socket.
    void open(epoll *, SOCKET, received_function, void *context);
    // On a new socket, which begins to connect. What is sent meanwhile goes once it is connected.
    void connect(epoll *, const sockaddr_in &to, received_function, void *context);
    // All pieces by one call.
    void send(WSABUF *pieces, DWORD count);
    void send(const char *data, size_t length);
    void close() { loop->close_socket(this); }

private:
    static void on_ready(watched *, uint32_t events);
    void prepare(epoll *, SOCKET, received_function, void *context);
    size_t send_now(WSABUF *pieces, DWORD count);
    void send_unsent();

    epoll *loop;
    received_function received;
    std::vector<char> unsent;
    bool blocked; // waits for EPOLLOUT
};

work *set_up_pingpong(const scenario &);
work *set_up_bulk(const scenario &);
work *set_up_churn(const scenario &);
work *set_up_wakeup(const scenario &);
work *set_up_startup(const scenario &);
work *set_up_waiting(const scenario &);

} // namespace bench

#endif
