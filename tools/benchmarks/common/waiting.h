// What an event that comes now and then waits for while connections that always have data are being served: how many
// of their callbacks run between the moment at which the event is there and its own callback, and how long that takes.
//
// The events are bytes on a quiet connection, a timer that is due, a wake-up from another thread, and a signal, one
// after the other and one at a time. A callback of a busy connection takes a while, as that of a program would, and
// sends its connection the next bytes.
#ifndef LIBEVENT_IOCP_BENCH_WAITING_H
#define LIBEVENT_IOCP_BENCH_WAITING_H

#include "tools/benchmarks/common/bench.h"

#include <atomic>
#include <vector>

namespace bench {

enum quiet_event { quiet_connection, quiet_timer, quiet_wakeup, quiet_signal, quiet_event_count };

class waiting;

// The peer's loop. All but wake() are called in its thread; its callbacks call busy_read() and served().
class waiting_loop {
public:
    virtual void watch_busy(SOCKET socket, int index) = 0; // busy_read(index) when its bytes have been taken
    virtual void watch_quiet(SOCKET socket) = 0;           // served(quiet_connection), likewise
    virtual void start_timer(int milliseconds) = 0;
    virtual void wake() = 0;
    virtual bool raise_signal() = 0; // false: has no signals that a program can raise
    virtual void run_loop() = 0;
    virtual void stop_loop() = 0;

    waiting *owner = nullptr;
};

class waiting final : public work {
public:
    waiting(const scenario &, waiting_loop *);
    void run(long units) override;
    void report() override;

    void busy_read(int index);
    void served(quiet_event);

private:
    struct waited {
        long callbacks;
        double seconds;
    };

    static DWORD WINAPI waking_thread(void *);
    void feed(int index);
    void make_event();
    void done_with_event();
    void begin();
    static void print(const char *name, const char *unit, std::vector<double>);

    waiting_loop *loop;
    std::vector<SOCKET> feeders;
    SOCKET quiet = INVALID_SOCKET;
    HANDLE wake_now;
    quiet_event pending = quiet_event_count;
    quiet_event next = quiet_connection;
    std::atomic<long> callbacks{0};
    std::atomic<long> since{-1}; // callbacks when the event was there; -1: it is not yet
    double since_time = 0;
    double due = 0;
    long pause = 0; // callbacks until the next event is made
    long left = 0;
    std::vector<waited> all[quiet_event_count];
};

} // namespace bench

#endif
