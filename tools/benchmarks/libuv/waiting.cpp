// Quiet events beside busy connections, as in libevent/waiting.cpp.
#include "tools/benchmarks/libuv/loop.h"

#include "tools/benchmarks/common/waiting.h"

#include <deque>

namespace bench {

namespace {

class waiting_uv final : public waiting_loop {
public:
    waiting_uv();
    void watch_busy(SOCKET socket, int index) override;
    void watch_quiet(SOCKET socket) override;
    void start_timer(int milliseconds) override;
    void wake() override { uv_async_send(&waking); }
    bool raise_signal() override { return false; } // those of the console alone
    void run_loop() override { uv_run(&loop, UV_RUN_DEFAULT); }
    void stop_loop() override { uv_stop(&loop); }

private:
    struct connection {
        uv_tcp_t stream;
        waiting_uv *owner;
        int index;
    };

    static void on_read(uv_stream_t *, ssize_t, const uv_buf_t *);
    static void on_timer(uv_timer_t *);
    static void on_wake(uv_async_t *);
    void watch(SOCKET socket, int index);

    uv_loop_t loop;
    uv_timer_t timer;
    uv_async_t waking;
    std::deque<connection> all; // that keep their places
};

constexpr int quiet_index = -1;

waiting_uv::waiting_uv()
{
    check(uv_loop_init(&loop), "uv_loop_init");
    check(uv_timer_init(&loop, &timer), "uv_timer_init");
    check(uv_async_init(&loop, &waking, on_wake), "uv_async_init");
    timer.data = waking.data = this;
}

void waiting_uv::on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *)
{
    check(static_cast<int>(count), "a read");
    auto *self = static_cast<connection *>(stream->data);
    if (count == 0)
        return;
    if (self->index == quiet_index)
        self->owner->owner->served(quiet_connection);
    else
        self->owner->owner->busy_read(self->index);
}

void waiting_uv::on_timer(uv_timer_t *timer)
{
    static_cast<waiting_uv *>(timer->data)->owner->served(quiet_timer);
}

void waiting_uv::on_wake(uv_async_t *waking)
{
    static_cast<waiting_uv *>(waking->data)->owner->served(quiet_wakeup);
}

void waiting_uv::watch(SOCKET socket, int index)
{
    all.emplace_back();
    all.back().owner = this;
    all.back().index = index;
    open_stream(&loop, &all.back().stream, socket, on_read, &all.back());
}

void waiting_uv::watch_busy(SOCKET socket, int index)
{
    watch(socket, index);
}

void waiting_uv::watch_quiet(SOCKET socket)
{
    watch(socket, quiet_index);
}

void waiting_uv::start_timer(int milliseconds)
{
    uv_timer_start(&timer, on_timer, static_cast<uint64_t>(milliseconds), 0);
}

} // namespace

work *set_up_waiting(const scenario &what)
{
    return new waiting(what, new waiting_uv);
}

} // namespace bench
