#include "real/real_base.h"

namespace real {

static void say_nothing(int, const char *)
{
}

struct event_base *base;
int callbacks;
short last_what;

int set_up(void **)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    base = event_base_new_with_config(config);
    event_config_free(config);
    callbacks = 0;
    last_what = 0;
    return base != nullptr ? 0 : -1;
}

int tear_down(void **)
{
    event_base_free(base);
    return 0;
}

void out_of_time(evutil_socket_t, short, void *)
{
    print_error("out of time\n");
    event_base_loopbreak(base);
}

bool run_loop()
{
    struct event *deadline = evtimer_new(base, out_of_time, nullptr);
    struct timeval limit = {deadline_seconds, 0};
    event_add(deadline, &limit);
    int result = event_base_dispatch(base);
    bool in_time = evtimer_pending(deadline, nullptr) != 0;
    event_free(deadline);
    return result == 0 && in_time;
}

void count_and_break(evutil_socket_t, short what, void *)
{
    ++callbacks;
    last_what = what;
    event_base_loopbreak(base);
}

void count_only(evutil_socket_t, short what, void *argument)
{
    ++callbacks;
    last_what = what;
    if (argument != nullptr)
        ++*static_cast<int *>(argument);
}

int look()
{
    return event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static struct sockaddr_in loopback()
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

evutil_socket_t bound(int type, struct sockaddr_in *address)
{
    evutil_socket_t opened = static_cast<evutil_socket_t>(socket(AF_INET, type, 0));
    assert_true(opened != -1);
    *address = loopback();
    int length = sizeof(*address);
    assert_int_equal(bind(opened, reinterpret_cast<struct sockaddr *>(address), length), 0);
    assert_int_equal(getsockname(opened, reinterpret_cast<struct sockaddr *>(address), &length), 0);
    evutil_make_socket_nonblocking(opened);
    return opened;
}

void make_pair(evutil_socket_t pair[2])
{
    assert_int_equal(evutil_socketpair(AF_INET, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 2; ++i) {
        int on = 1;
        setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char *>(&on), sizeof(on));
        evutil_make_socket_nonblocking(pair[i]);
    }
}

void close_pair(const evutil_socket_t pair[2])
{
    evutil_closesocket(pair[0]);
    evutil_closesocket(pair[1]);
}

struct event *add(evutil_socket_t fd, short what, event_callback_fn callback, void *argument)
{
    struct event *added = event_new(base, fd, what, callback, argument);
    assert_int_equal(event_add(added, nullptr), 0);
    return added;
}

void start()
{
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    event_set_log_callback(say_nothing);
    evthread_use_windows_threads();
}

} // namespace real
