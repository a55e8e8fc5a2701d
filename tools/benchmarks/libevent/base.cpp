#include "tools/benchmarks/libevent/base.h"

#include <event2/thread.h>

namespace bench {

namespace {

const char *used_method = "none";

// Above this size of a message, a program raises what bufferevents read and write at a time (16 KiB by default).
constexpr size_t large_message = 16 * 1024;

} // namespace

const char *method(const scenario &)
{
    return used_method;
}

event_base *make_base(const scenario &what)
{
    if (what.locks && evthread_use_windows_threads() != 0)
        fail("evthread_use_windows_threads", 0);
    event_config *config = event_config_new();
    if (what.port)
        event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == nullptr)
        fail("no base", 0);
    used_method = event_base_get_method(base);
    return base;
}

bufferevent *make_bufferevent(event_base *base, SOCKET socket, const scenario &what, bufferevent_data_cb on_read,
                              void *context)
{
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(socket));
    bufferevent *made = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    if (made == nullptr)
        fail("bufferevent_socket_new", WSAGetLastError());
    if (what.size > large_message) {
        bufferevent_set_max_single_read(made, what.size);
        bufferevent_set_max_single_write(made, what.size);
    }
    bufferevent_setcb(made, on_read, nullptr, on_unwanted_event, context);
    if (bufferevent_enable(made, EV_READ | EV_WRITE) != 0)
        fail("bufferevent_enable", WSAGetLastError());
    return made;
}

void on_unwanted_event(bufferevent *, short what, void *)
{
    fail("a connection has ended", what);
}

int take_input(evbuffer *input, message_check *check)
{
    int complete = 0;
    while (size_t length = evbuffer_get_contiguous_space(input)) {
        complete +=
            check->take(reinterpret_cast<char *>(evbuffer_pullup(input, static_cast<ev_ssize_t>(length))), length);
        evbuffer_drain(input, length);
    }
    return complete;
}

} // namespace bench
