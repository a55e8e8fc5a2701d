#include "real/outer_loop.h"
#include "compat/sys.h"

#include <initializer_list>

namespace real {

HANDLE handle;
DWORD wait_ms;
int time_outs;

static int set_up_by(void **state, void *(*get)(struct event_base *))
{
    if (set_up(state) != 0)
        return -1;
    handle = get(base);
    time_outs = 0;
    return handle != nullptr ? 0 : -1;
}

int set_up_outer(void **state)
{
    return set_up_by(state, event_base_iocp_get_handle);
}

int set_up_outer_by_event(void **state)
{
    return set_up_by(state, event_base_iocp_get_event);
}

DWORD wait_limit()
{
    return wait_ms < patience_ms ? wait_ms : patience_ms;
}

void note_time_out()
{
    if (wait_ms == 0)
        return; // the base had more to do
    ++time_outs;
    if (wait_ms > patience_ms)
        print_error("the handle was not set for %lu ms, and is%s now\n", wait_limit(),
                    WaitForSingleObject(handle, 0) == WAIT_OBJECT_0 ? "" : " not");
    assert_true(wait_ms <= patience_ms); // else the deadline has passed
}

void sleep_once()
{
    if (WaitForSingleObject(handle, wait_limit()) != WAIT_OBJECT_0)
        note_time_out();
}

void run_once()
{
    assert_int_equal(event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &wait_ms), 1);
}

void on_server(struct bufferevent *bev, void *)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void on_client(struct bufferevent *bev, void *argument)
{
    ++static_cast<echo *>(argument)->rounds;
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

void open_echo(echo *one)
{
    one->rounds = 0;
    make_pair(one->pair);
    one->server = bufferevent_socket_new(base, one->pair[0], BEV_OPT_CLOSE_ON_FREE);
    one->client = bufferevent_socket_new(base, one->pair[1], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(one->server, on_server, nullptr, nullptr, one);
    bufferevent_setcb(one->client, on_client, nullptr, nullptr, one);
    bufferevent_enable(one->server, EV_READ | EV_WRITE);
    bufferevent_enable(one->client, EV_READ | EV_WRITE);
    bufferevent_write(one->client, "ping", 4);
}

void close_echo(echo *one)
{
    bufferevent_free(one->server);
    bufferevent_free(one->client);
}

int run_both_ways(int (*run_group)())
{
    start();
    int failures = 0;
    bool port_waits = iocp::sys::ports_can_be_waited_for();
    for (const char *waits : {"EVENT_IOCP_NO_PORT_WAIT=0", "EVENT_IOCP_NO_PORT_WAIT=1"}) {
        _putenv(waits);
        print_message("%s; a port can be waited for: %s\n", waits, port_waits ? "yes" : "no, so both are one");
        failures += run_group();
    }
    return failures;
}

} // namespace real
