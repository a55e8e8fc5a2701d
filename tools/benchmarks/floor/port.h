// The least that a program must do on one completion port, straight on Win32: no library, no abstraction of sockets.
//
// What makes it the floor, beyond leaving things out:
//   - an operation that is done at once leaves no packet (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS), and is handled at once;
//   - what is to be started waits in a queue until the sends of earlier packets are out. A receive that finds its data
//     costs less than one that has to wait for them, and after the sends of others it is more likely to find them;
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

// Something to be started that waits in the port's queue.
struct task {
    void (*start)(task *);
    void *context;
    task *next;
};

struct receive_operation {
    operation common; // first
    task queued;
    SOCKET socket;
    char *buffer;
    DWORD capacity; // 0: it ends when there is something to receive
};

class port {
public:
    port();
    void add(SOCKET socket) { add_file(reinterpret_cast<HANDLE>(socket)); }
    void add_file(HANDLE file);
    void start_soon(task *);
    // Queues a receive. `ended` gets the bytes, 0 for the end of the stream.
    void receive_soon(receive_operation *);
    // True: done, and `ended` is not called. False: it will be.
    bool send(SOCKET socket, WSABUF *buffers, DWORD count, operation *);
    // Works until stop() is called by an operation that has ended.
    void run();
    void stop() { stopped = true; }
    // One turn of run(), for who has other things to do in between.
    void turn(bool wait);
    HANDLE native() const { return handle; }

private:
    void start_queued();
    bool take_packets(DWORD timeout_ms);
    void take_more_packets();
    void adapt_batch(ULONG count);

    HANDLE handle;
    task *first = nullptr;
    task *last = nullptr;
    int vain_looks = 0;
    ULONG batch = 1;
    ULONG full_batches = 0;
    bool stopped = false;
};

// Extension functions, of any socket.
LPFN_CONNECTEX connect_ex(SOCKET socket);
LPFN_ACCEPTEX accept_ex(SOCKET socket);

work *set_up_pingpong(const scenario &);
work *set_up_pipes(const scenario &);
work *set_up_bulk(const scenario &);
work *set_up_churn(const scenario &);
work *set_up_connects(const scenario &);
work *set_up_plain(const scenario &);
work *set_up_wakeup(const scenario &);
work *set_up_startup(const scenario &);

} // namespace bench

#endif
