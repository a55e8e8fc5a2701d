// event2/iocp.h: what a program may ask of a listener on a port.
#include "bufferevent/acceptor_first_data.h"
#include "bufferevent/listener.h"

using namespace iocp;

namespace {

int listener_fail(int error)
{
    WSASetLastError(error);
    return -1;
}

// -1: out of bounds.
int64_t listener_patience_in_us(const struct timeval *patience)
{
    constexpr int64_t ms = 1000, second = 1000 * ms;
    if (patience == nullptr)
        return EVCONNLISTENER_IOCP_DEFAULT_PATIENCE_MS * ms;
    if (patience->tv_sec < 0 || patience->tv_usec < 0 || patience->tv_usec >= second)
        return -1;
    int64_t span = patience->tv_sec * second + patience->tv_usec;
    bool within = span >= EVCONNLISTENER_IOCP_MIN_PATIENCE_MS * ms && span <= EVCONNLISTENER_IOCP_MAX_PATIENCE_MS * ms;
    return within ? span : -1;
}

} // namespace

int evconnlistener_iocp_set_first_data(struct evconnlistener *listener, size_t bytes, const struct timeval *patience)
{
    int64_t patience_us = bytes != 0 ? listener_patience_in_us(patience) : 0;
    if (bytes > max_first_data || patience_us < 0)
        return listener_fail(WSAEINVAL);
    struct event_base *base = evconnlistener_get_base(listener);
    if (base == nullptr || backend_of(base) == nullptr)
        return listener_fail(WSAEOPNOTSUPP);
    int error = 0;
    {
        base_locked held(base);
        acceptor *own = listener_acceptor(listener);
        if (own != nullptr && own->as_source.of != nullptr)
            error = first_data_set(own, static_cast<unsigned>(bytes), patience_us);
    }
    return error == 0 ? 0 : listener_fail(error);
}

int evconnlistener_iocp_avoid_acceptex(struct evconnlistener *listener)
{
    struct event_base *base = evconnlistener_get_base(listener);
    if (base == nullptr || backend_of(base) == nullptr)
        return listener_fail(WSAEOPNOTSUPP);
    base_locked held(base);
    acceptor *own = listener_acceptor(listener);
    if (own != nullptr && own->as_source.of != nullptr)
        acceptor_avoid_accept_ex(own);
    return 0;
}
