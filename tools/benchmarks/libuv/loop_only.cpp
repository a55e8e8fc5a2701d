// Rows without sockets: timers, wake-ups from another thread, and making and unmaking a loop.
#include "tools/benchmarks/libuv/loop.h"

#include "tools/benchmarks/common/waker.h"

#include <deque>

namespace bench {

namespace {

// Adds timers, cancels every second one, and lets the others fire. A handle keeps its place in memory.
class timers final : public work {
public:
    timers() { check(uv_loop_init(&loop), "uv_loop_init"); }
    void run(long units) override;
    void fired();

private:
    uv_loop_t loop;
    std::deque<uv_timer_t> all;
    long to_fire = 0;
};

void on_timer(uv_timer_t *timer)
{
    static_cast<timers *>(timer->data)->fired();
}

void timers::fired()
{
    if (--to_fire == 0)
        uv_stop(&loop);
}

void timers::run(long units)
{
    timer_delays delays(units);
    while (all.size() < static_cast<size_t>(units)) {
        all.emplace_back();
        check(uv_timer_init(&loop, &all.back()), "uv_timer_init");
        all.back().data = this;
    }
    for (long i = 0; i < units; ++i)
        uv_timer_start(&all[static_cast<size_t>(i)], on_timer, static_cast<uint64_t>(delays.next_us() / 1000), 0);
    for (long i = 1; i < units; i += 2)
        uv_timer_stop(&all[static_cast<size_t>(i)]);
    to_fire = (units + 1) / 2;
    uv_run(&loop, UV_RUN_DEFAULT);
    if (to_fire != 0)
        fail("the loop has ended early", 0);
}

class woken_loop final : public wakeable {
public:
    woken_loop();
    void wake() override { uv_async_send(&waking); }
    void run_loop() override { uv_run(&loop, UV_RUN_DEFAULT); }
    void stop_loop() override { uv_stop(&loop); }

private:
    uv_loop_t loop;
    uv_async_t waking;
};

void on_wake(uv_async_t *waking)
{
    static_cast<woken_loop *>(waking->data)->woken();
}

woken_loop::woken_loop()
{
    check(uv_loop_init(&loop), "uv_loop_init");
    check(uv_async_init(&loop, &waking, on_wake), "uv_async_init");
    waking.data = this;
}

class startup final : public work {
public:
    void run(long units) override;
};

void startup::run(long units)
{
    for (long i = 0; i < units; ++i) {
        uv_loop_t made;
        check(uv_loop_init(&made), "uv_loop_init");
        uv_run(&made, UV_RUN_NOWAIT);
        check(uv_loop_close(&made), "uv_loop_close");
    }
}

} // namespace

work *set_up_timers(const scenario &)
{
    return new timers;
}

work *set_up_wakeup(const scenario &)
{
    return new wakeup(new woken_loop, new woken_loop);
}

work *set_up_startup(const scenario &)
{
    return new startup;
}

} // namespace bench
