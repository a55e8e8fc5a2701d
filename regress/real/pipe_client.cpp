// Clients of README's pipe server, one after another and at once. What each writes comes back, byte for byte.
//   pipe_client NAME CLIENTS AT_A_TIME BYTES
#include <winsock2.h>
#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/iocp.h>

namespace {

constexpr long deadline_seconds = 60;

struct event_base *base;
const char *name;
int left_to_start;
int running;
size_t length;
int served;

struct client {
    struct bufferevent *bev;
    unsigned char first; // of the bytes that it writes
};

void fail(const char *why)
{
    printf("failed: %s (error %d), %d served\n", why, EVUTIL_SOCKET_ERROR(), served);
    exit(1);
}

unsigned char byte_at(const client *self, size_t place)
{
    return static_cast<unsigned char>(self->first + place * 7 + place / 251);
}

void start();

void answered(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<client *>(argument);
    struct evbuffer *input = bufferevent_get_input(bev);
    if (evbuffer_get_length(input) < length)
        return;
    const unsigned char *bytes = evbuffer_pullup(input, -1);
    for (size_t i = 0; i < length; ++i)
        if (bytes[i] != byte_at(self, i))
            fail("a byte came back wrong");
    if (evbuffer_get_length(input) != length)
        fail("more came back than was sent");
    bufferevent_free(bev);
    free(self);
    ++served;
    --running;
    start();
}

void happened(struct bufferevent *, short what, void *)
{
    if ((what & BEV_EVENT_CONNECTED) == 0)
        fail("a connect or connection has ended");
}

void start()
{
    if (left_to_start == 0)
        return;
    auto *self = static_cast<client *>(calloc(1, sizeof(client)));
    struct timeval patience = {deadline_seconds, 0};
    self->first = static_cast<unsigned char>(left_to_start--);
    self->bev = bufferevent_iocp_handle_new(base, INVALID_HANDLE_VALUE, BEV_OPT_CLOSE_ON_FREE);
    if (self->bev == nullptr)
        fail("no bufferevent");
    if (bufferevent_iocp_pipe_connect(self->bev, name, &patience) != 0)
        fail("no connect");
    ++running;
    bufferevent_setcb(self->bev, answered, nullptr, happened, self);
    bufferevent_enable(self->bev, EV_READ | EV_WRITE);
    for (size_t i = 0; i < length; ++i) {
        unsigned char byte = byte_at(self, i);
        bufferevent_write(self->bev, &byte, 1);
    }
}

void out_of_time(evutil_socket_t, short, void *)
{
    fail("out of time");
}

} // namespace

int main(int count, char **arguments)
{
    if (count != 5)
        return 2;
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    base = event_base_new_with_config(config);
    event_config_free(config);
    name = arguments[1];
    left_to_start = atoi(arguments[2]);
    length = static_cast<size_t>(atoi(arguments[4]));
    struct event *deadline = evtimer_new(base, out_of_time, nullptr);
    struct timeval limit = {deadline_seconds, 0};
    event_add(deadline, &limit);
    for (int i = atoi(arguments[3]); i > 0; --i)
        start();
    while (running != 0)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(deadline);
    event_base_free(base);
    printf("served: %d\n", served);
    return 0;
}
