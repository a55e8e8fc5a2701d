// The least that a program must do on one completion port, straight on Win32: no library, no abstraction of sockets.
//
// What makes it the floor, beyond leaving things out:
//   - an operation that is done at once leaves no packet (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS), and is handled at once;
//   - receives wait in a queue until whatever can be sent has been sent. A receive that finds its data costs less than
//     one that has to wait for them, and after the sends of others it is more likely to find them;
//   - the port is looked at when the queue is empty, and otherwise only as long as a look brings packets, whose sends may
//     bring the next, and now and then.
#ifndef LIBEVENT_IOCP_BENCH_FLOOR_PORT_H
#define LIBEVENT_IOCP_BENCH_FLOOR_PORT_H

#include "tools/benchmarks/common/bench.h"

namespace bench {

// One overlapped operation; `ended` is called once for each start.
struct operation {
    OVERLAPPED overlapped; // first
    void (*ended)(operation *, DWORD bytes);
    void *context;
};

// A receive that can wait in the port's queue.
struct receive_operation {
    operation common; // first
    SOCKET socket;
    char *buffer;
    DWORD capacity;
    receive_operation *next;
};

class port {
public:
    port();
    void add(SOCKET socket);
    // Queues a receive. `ended` gets the bytes, 0 for the end of the stream.
    void receive_soon(receive_operation *);
    // True: done, and `ended` is not called. False: it will be.
    bool send(SOCKET socket, WSABUF *buffers, DWORD count, operation *);
    // Works until stop() is called by an operation that has ended.
    void run();
    void stop() { stopped = true; }
    HANDLE native() const { return handle; }

private:
    void start_receive(receive_operation *);
    void start_receives();
    bool take_packets(DWORD timeout_ms);
    void take_more_packets();

    HANDLE handle;
    receive_operation *first = nullptr;
    receive_operation *last = nullptr;
    int vain_looks = 0;
    bool stopped = false;
};

work *set_up_pingpong(const scenario &);

} // namespace bench

#endif
