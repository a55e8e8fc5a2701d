#include "tools/benchmarks/wepoll/epoll.h"

namespace bench {

namespace {

constexpr int max_events = 64;

} // namespace

// Plain events are all that there is: ping-pong tells who waits, who receives by a call of its own.
const row rows[] = {
    {"pingpong", set_up_pingpong}, {"bulk", set_up_bulk},       {"churn", set_up_churn},     {"plain", set_up_pingpong},
    {"wakeup", set_up_wakeup},     {"startup", set_up_startup}, {"waiting", set_up_waiting}, {nullptr, nullptr},
};

const char *method(const scenario &)
{
    return "wepoll";
}

epoll::epoll() : handle(epoll_create1(0))
{
    if (handle == nullptr)
        fail("epoll_create1", static_cast<int>(GetLastError()));
}

void epoll::control(int operation, watched *on, uint32_t events)
{
    epoll_event wanted = {};
    wanted.events = events;
    wanted.data.ptr = on;
    if (epoll_ctl(handle, operation, on->socket, &wanted) != 0)
        fail("epoll_ctl", static_cast<int>(GetLastError()));
}

void epoll::add(watched *on, uint32_t events)
{
    control(EPOLL_CTL_ADD, on, events);
}

void epoll::change(watched *on, uint32_t events)
{
    control(EPOLL_CTL_MOD, on, events);
}

// wepoll wants to be told first.
void epoll::close_socket(watched *on)
{
    control(EPOLL_CTL_DEL, on, 0);
    closesocket(on->socket);
}

void epoll::turn(int timeout_ms)
{
    epoll_event events[max_events];
    int count = epoll_wait(handle, events, max_events, timeout_ms);
    if (count < 0)
        fail("epoll_wait", static_cast<int>(GetLastError()));
    for (int i = 0; i < count; ++i) {
        auto *on = static_cast<watched *>(events[i].data.ptr);
        on->ready(on, events[i].events);
    }
}

void epoll::run()
{
    stopped = false;
    while (!stopped)
        turn(-1);
}

void epoll::close()
{
    if (epoll_close(handle) != 0)
        fail("epoll_close", static_cast<int>(GetLastError()));
}

} // namespace bench
