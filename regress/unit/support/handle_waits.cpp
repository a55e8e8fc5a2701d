#include "support/handle_waits.h"

namespace iocp {
namespace waits {

struct event_base *base;
bool by_packets = true, by_threads = false;

int set_up(void **state)
{
    fake::boot(1);
    catch_log();
    fake::set_wait_packets(*static_cast<bool *>(*state));
    base = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    if (base != nullptr)
        event_base_free(base);
    return check_nothing_is_left();
}

void free_base()
{
    event_base_free(base);
    base = nullptr;
}

void on_wait(void *handle, short what, void *argument)
{
    auto *to = static_cast<told *>(argument);
    ++to->count;
    to->what = what;
    to->handle = handle;
    to->signals += (what & EV_READ) != 0;
    to->timeouts += (what & EV_TIMEOUT) != 0;
    if (to->and_then != nullptr)
        to->and_then(to);
}

struct evwait *wait_for(HANDLE handle, short events, told *to)
{
    to->wait = evwait_iocp_new(base, handle, events, on_wait, to);
    assert_non_null(to->wait);
    return to->wait;
}

void added(HANDLE handle, short events, told *to)
{
    assert_int_equal(evwait_iocp_add(wait_for(handle, events, to), nullptr), 0);
}

void end(HANDLE handle, told *to)
{
    evwait_iocp_free(to->wait);
    fake::close_waitable(handle);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i)
        turn_to_port(base);
}

} // namespace waits
} // namespace iocp
