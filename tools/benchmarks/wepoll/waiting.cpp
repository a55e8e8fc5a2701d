// Quiet events beside busy connections, as in libevent/waiting.cpp.
#include "tools/benchmarks/common/waiting.h"
#include "tools/benchmarks/wepoll/waker_socket.h"

#include <deque>

namespace bench {

namespace {

class waiting_epoll final : public waiting_loop {
public:
    waiting_epoll() { waking.open(&loop, wake_came, this); }
    void watch_busy(SOCKET socket, int index) override { watch(socket, index); }
    void watch_quiet(SOCKET socket) override { watch(socket, quiet_index); }
    void start_timer(int milliseconds) override { due = seconds_now() + milliseconds * 1e-3; }
    void wake() override { waking.wake(); }
    bool raise_signal() override { return false; } // has none
    void run_loop() override;
    void stop_loop() override { stopped = true; }

private:
    struct connection {
        stream end;
        waiting_epoll *owner;
        int index;
    };

    static constexpr int quiet_index = -1;

    static void received(stream *, const char *, size_t length);
    static void wake_came(void *self);
    void watch(SOCKET socket, int index);
    int timeout_ms() const;
    void serve_timer();

    epoll loop;
    waker_socket waking;
    std::deque<connection> all; // that keep their places
    double due = 0;             // of the timer; 0: it is not set
    bool stopped = false;
};

void waiting_epoll::received(stream *end, const char *, size_t length)
{
    if (length == 0)
        fail("a connection has ended", 0);
    auto *self = static_cast<connection *>(end->context);
    if (self->index == quiet_index)
        self->owner->owner->served(quiet_connection);
    else
        self->owner->owner->busy_read(self->index);
}

void waiting_epoll::wake_came(void *self)
{
    static_cast<waiting_epoll *>(self)->owner->served(quiet_wakeup);
}

void waiting_epoll::watch(SOCKET socket, int index)
{
    all.emplace_back();
    connection &made = all.back();
    made.owner = this;
    made.index = index;
    made.end.open(&loop, socket, received, &made);
}

// A timer is the program's own, by what epoll_wait waits at the most.
int waiting_epoll::timeout_ms() const
{
    if (due == 0)
        return -1;
    double left = due - seconds_now();
    return left > 0 ? static_cast<int>(left * 1e3) + 1 : 0;
}

void waiting_epoll::serve_timer()
{
    if (due == 0 || seconds_now() < due)
        return;
    due = 0;
    owner->served(quiet_timer);
}

void waiting_epoll::run_loop()
{
    stopped = false;
    while (!stopped) {
        loop.turn(timeout_ms());
        serve_timer();
    }
}

} // namespace

work *set_up_waiting(const scenario &what)
{
    return new waiting(what, new waiting_epoll);
}

} // namespace bench
