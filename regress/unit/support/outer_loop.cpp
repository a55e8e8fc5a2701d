#include "support/outer_loop.h"

#include <initializer_list>

namespace iocp {
namespace outer {

struct event_base *base;
HANDLE handle;
DWORD wait_ms;
int wakes, time_outs;

static bool by_pool;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    use_fake_threads();
    base = make_base(on_iocp);
    handle = by_pool ? event_base_iocp_get_event(base) : event_base_iocp_get_handle(base);
    assert_non_null(handle);
    wakes = time_outs = 0;
    return 0;
}

int tear_down(void **)
{
    become_thread(loop_thread);
    if (base != nullptr)
        event_base_free(base);
    return check_nothing_is_left();
}

int run(int flags)
{
    wait_ms = not_set;
    return event_base_iocp_run(base, flags, &wait_ms);
}

void sleep()
{
    bool woken = by_pool ? fake::wait_in_pool(handle, wait_ms) : fake::wait_outside(handle, wait_ms);
    ++(woken ? wakes : time_outs);
}

int run_until_asleep(int flags)
{
    constexpr int max_calls = 1000;
    int result = run(flags);
    for (int calls = 0; result == 1 && wait_ms == 0 && calls < max_calls; ++calls)
        result = run(flags);
    return result;
}

void elsewhere_at(int64_t time_us, std::function<void()> action)
{
    fake::at(time_us, [action] {
        become_thread(other_thread);
        action();
        become_thread(loop_thread);
    });
}

counted *add_event(short what, int64_t delay_us)
{
    counted *made = count_events(base, -1, what);
    struct timeval delay = {static_cast<long>(delay_us / 1000000), static_cast<long>(delay_us % 1000000)};
    assert_int_equal(event_add(made->registered, delay_us < 0 ? nullptr : &delay), 0);
    return made;
}

static void on_echo(struct bufferevent *bev, void *)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

struct bufferevent *open_echo(SOCKET *socket)
{
    *socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(*socket);
    auto *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(*socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_echo, nullptr, nullptr, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return bev;
}

int run_both_ways(int (*run_group)())
{
    fake::boot(1);
    event_base_free(make_base(as_always)); // the first base on select has what it keeps
    int failures = 0;
    for (bool way : {false, true}) {
        by_pool = way;
        print_message("%s\n", by_pool ? "a thread pool waits for the event" : "a thread waits for the handle");
        failures += run_group();
    }
    return failures;
}

} // namespace outer
} // namespace iocp
