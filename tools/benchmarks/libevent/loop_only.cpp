// Rows without sockets: timers, wake-ups from another thread, and making and unmaking a base.
#include "tools/benchmarks/common/waker.h"
#include "tools/benchmarks/libevent/base.h"

#include <event2/thread.h>

#include <vector>

namespace bench {

namespace {

// Adds timers, cancels every second one, and lets the others fire.
class timers final : public work {
public:
    explicit timers(const scenario &what) : base(make_base(what)) {}
    void run(long units) override;
    void fired();

private:
    event_base *base;
    std::vector<event *> all;
    long to_fire = 0;
};

void on_timer(evutil_socket_t, short, void *context)
{
    static_cast<timers *>(context)->fired();
}

void timers::fired()
{
    if (--to_fire == 0)
        event_base_loopbreak(base);
}

void timers::run(long units)
{
    timer_delays delays(units);
    while (all.size() < static_cast<size_t>(units))
        all.push_back(evtimer_new(base, on_timer, this));
    for (long i = 0; i < units; ++i) {
        timeval delay = {0, delays.next_us()};
        evtimer_add(all[static_cast<size_t>(i)], &delay);
    }
    for (long i = 1; i < units; i += 2)
        evtimer_del(all[static_cast<size_t>(i)]);
    to_fire = (units + 1) / 2;
    event_base_dispatch(base);
    if (to_fire != 0)
        fail("the loop has ended early", 0);
}

class woken_base final : public wakeable {
public:
    explicit woken_base(const scenario &);
    void wake() override { event_active(waking, EV_READ, 0); }
    void run_loop() override { event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY); }
    void stop_loop() override { event_base_loopbreak(base); }

private:
    event_base *base;
    event *waking;
};

void on_wake(evutil_socket_t, short, void *context)
{
    static_cast<woken_base *>(context)->woken();
}

woken_base::woken_base(const scenario &what)
{
    evthread_use_windows_threads();
    base = make_base(what);
    waking = event_new(base, -1, EV_PERSIST, on_wake, this);
    if (waking == nullptr)
        fail("event_new", 0);
}

class startup final : public work {
public:
    explicit startup(const scenario &scenario) : what(scenario) {}
    void run(long units) override;

private:
    scenario what;
};

void startup::run(long units)
{
    for (long i = 0; i < units; ++i) {
        event_base *made = make_base(what);
        event_base_loop(made, EVLOOP_NONBLOCK);
        event_base_free(made);
    }
}

} // namespace

work *set_up_timers(const scenario &what)
{
    return new timers(what);
}

work *set_up_wakeup(const scenario &what)
{
    return new wakeup(new woken_base(what), new woken_base(what));
}

work *set_up_startup(const scenario &what)
{
    return new startup(what);
}

} // namespace bench
