#include "support/connecting.h"
#include "support/check.h"

namespace iocp {

uint64_t running_seed;

namespace {

void on_read(struct bufferevent *bev, void *argument)
{
    auto *one = static_cast<attempt *>(argument);
    char bytes[256];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        one->read.append(bytes, got);
    if (one->connected == 0)
        fails("bytes before the connection was told of");
}

void on_event(struct bufferevent *, short what, void *argument)
{
    int error = EVUTIL_SOCKET_ERROR();
    auto *one = static_cast<attempt *>(argument);
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        ++one->connected;
        one->was_whole = sys::is_connected(one->socket);
    } else {
        ++one->failed;
        one->error = error;
    }
    if (one->free_when_told)
        let_go(one);
}

} // namespace

void fails(const char *what)
{
    fail_msg("%s, seed %u", what, static_cast<unsigned>(running_seed));
}

void let_go(attempt *one)
{
    bool closes = one->owned && bufferevent_getfd(one->bev) == static_cast<evutil_socket_t>(one->socket);
    bufferevent_free(one->bev);
    one->bev = nullptr;
    if (!closes)
        fake::close_by_program(one->socket);
}

SOCKET new_socket()
{
    return fake::open_socket(fake::kind::stream);
}

void open_attempt(attempt *one, struct event_base *base, int options)
{
    *one = attempt();
    one->base = base;
    one->socket = new_socket();
    one->owned = (options & BEV_OPT_CLOSE_ON_FREE) != 0;
    evutil_socket_t first = fake::happens(500) ? static_cast<evutil_socket_t>(one->socket) : -1;
    one->bev = bufferevent_socket_new(base, first, options);
    bufferevent_setcb(one->bev, on_read, nullptr, on_event, one);
}

void ask(attempt *one, const outcome &next)
{
    struct sockaddr_in peer = {};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(7);
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bufferevent_getfd(one->bev) < 0)
        bufferevent_setfd(one->bev, static_cast<evutil_socket_t>(one->socket));
    fake::k().connect_result = next.status; // those that wait for the end go on waiting
    int result = bufferevent_socket_connect(one->bev, reinterpret_cast<struct sockaddr *>(&peer), sizeof(peer));
    one->asked = result == 0;
    one->error = EVUTIL_SOCKET_ERROR();
    one->expected = next.error;
}

void replace_socket(attempt *one)
{
    SOCKET old = one->socket;
    bufferevent_setfd(one->bev, -1);
    one->delivered += fake::sent(old);
    fake::close_by_program(old);
    one->socket = new_socket();
    one->asked = false;
    one->connected = one->failed = 0;
    one->peer_sent.clear();
    one->read.clear();
    struct evbuffer *input = bufferevent_get_input(one->bev);
    evbuffer_drain(input, evbuffer_get_length(input));
}

} // namespace iocp
