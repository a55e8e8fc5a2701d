// Quiet events beside busy connections.
#include "tools/benchmarks/common/waiting.h"
#include "tools/benchmarks/libevent/base.h"

#include <event2/thread.h>

#include <signal.h>

#include <deque>

namespace bench {

namespace {

class waiting_base final : public waiting_loop {
public:
    explicit waiting_base(const scenario &);
    void watch_busy(SOCKET socket, int index) override;
    void watch_quiet(SOCKET socket) override;
    void start_timer(int milliseconds) override;
    void wake() override { event_active(waking, EV_READ, 0); }
    bool raise_signal() override { return raise(SIGTERM) == 0; }
    void run_loop() override { event_base_dispatch(base); }
    void stop_loop() override { event_base_loopbreak(base); }

private:
    struct busy {
        waiting_base *owner;
        int index;
    };

    static void on_busy_read(bufferevent *, void *);
    static void on_quiet_read(bufferevent *, void *);
    static void on_timer(evutil_socket_t, short, void *);
    static void on_wake(evutil_socket_t, short, void *);
    static void on_signal(evutil_socket_t, short, void *);

    scenario what;
    event_base *base;
    event *timer;
    event *waking;
    std::deque<busy> all; // that keep their places
};

void drain(bufferevent *from)
{
    evbuffer *input = bufferevent_get_input(from);
    evbuffer_drain(input, evbuffer_get_length(input));
}

waiting_base::waiting_base(const scenario &scenario) : what(scenario)
{
    evthread_use_windows_threads(); // for the wake-up
    base = make_base(what);
    timer = evtimer_new(base, on_timer, this);
    waking = event_new(base, -1, EV_PERSIST, on_wake, this);
    event *raised = evsignal_new(base, SIGTERM, on_signal, this);
    if (timer == nullptr || waking == nullptr || raised == nullptr || event_add(raised, nullptr) != 0)
        fail("no event", 0);
}

void waiting_base::on_busy_read(bufferevent *from, void *context)
{
    auto *self = static_cast<busy *>(context);
    drain(from);
    self->owner->owner->busy_read(self->index);
}

void waiting_base::on_quiet_read(bufferevent *from, void *context)
{
    drain(from);
    static_cast<waiting_base *>(context)->owner->served(quiet_connection);
}

void waiting_base::on_timer(evutil_socket_t, short, void *context)
{
    static_cast<waiting_base *>(context)->owner->served(quiet_timer);
}

void waiting_base::on_wake(evutil_socket_t, short, void *context)
{
    static_cast<waiting_base *>(context)->owner->served(quiet_wakeup);
}

void waiting_base::on_signal(evutil_socket_t, short, void *context)
{
    static_cast<waiting_base *>(context)->owner->served(quiet_signal);
}

void waiting_base::watch_busy(SOCKET socket, int index)
{
    all.push_back({this, index});
    make_bufferevent(base, socket, what, on_busy_read, &all.back());
}

void waiting_base::watch_quiet(SOCKET socket)
{
    make_bufferevent(base, socket, what, on_quiet_read, this);
}

void waiting_base::start_timer(int milliseconds)
{
    timeval delay = {0, milliseconds * 1000};
    evtimer_add(timer, &delay);
}

} // namespace

work *set_up_waiting(const scenario &what)
{
    return new waiting(what, new waiting_base(what));
}

} // namespace bench
