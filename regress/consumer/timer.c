/* The smallest libevent program: one timer on whatever method the environment asks for. */
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#ifdef _WIN32
#include <winsock2.h>
#endif

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    *(int *)arg += (what & EV_TIMEOUT) != 0;
}

int main(void)
{
    struct timeval tv = {0, 10 * 1000};
    struct event_base *base;
    struct evhttp *http;
    int fired = 0;

#ifdef _WIN32
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data))
        return 2;
#endif
    base = event_base_new();
    if (!base)
        return 3;
    /* Something of event_extra, so that this library is linked too. */
    http = evhttp_new(base);
    if (!http || event_base_once(base, -1, EV_TIMEOUT, on_timer, &fired, &tv))
        return 4;
    event_base_dispatch(base);
    printf("libevent %s on %s: %d\n", event_get_version(), event_base_get_method(base), fired);
    evhttp_free(http);
    event_base_free(base);
    return fired == 1 ? 0 : 5;
}
