// A second loop, in another thread. The first wakes it, it wakes the first, and so on.
#ifndef LIBEVENT_IOCP_BENCH_WAKER_H
#define LIBEVENT_IOCP_BENCH_WAKER_H

#include "tools/benchmarks/common/bench.h"

namespace bench {

// A loop with one thing to be woken by, which calls woken() in the loop's own thread.
class wakeable {
public:
    virtual void wake() = 0; // from any thread
    virtual void run_loop() = 0;
    virtual void stop_loop() = 0;

    void woken();

    wakeable *partner = nullptr; // woken in answer
    bool counts = false;         // stops at the last of `left`
    long left = 0;
};

// Both loops are made in the first thread; the second is run in a thread of its own, for the life of the process.
class wakeup final : public work {
public:
    wakeup(wakeable *first, wakeable *second);
    void run(long units) override;

private:
    wakeable *first;
};

} // namespace bench

#endif
