// libevent's listener on a port: where its functions meet the acceptor (see compat/listener_slot.h).
#include "bufferevent/acceptor.h"

#include "compat/listener_slot.h"

using namespace iocp;

namespace {

struct evconnlistener *attach(struct evconnlistener *listener, unsigned flags)
{
    if (listener == nullptr || evconnlistener_get_base(listener) == nullptr)
        return listener;
    backend *owner = backend_of(evconnlistener_get_base(listener));
    if (owner == nullptr || event_get_win32_extension_fns_()->AcceptEx == nullptr)
        return listener;
    EVBASE_ACQUIRE_LOCK(owner->base, th_base_lock);
    acceptor_attach(owner, evconnlistener_get_fd(listener), (flags & LEV_OPT_CLOSE_ON_EXEC) == 0);
    EVBASE_RELEASE_LOCK(owner->base, th_base_lock);
    return listener;
}

} // namespace

extern "C" {

struct evconnlistener *evconnlistener_new(struct event_base *base, evconnlistener_cb callback, void *argument,
                                          unsigned flags, int backlog, evutil_socket_t fd)
{
    return attach(iocp_stock_evconnlistener_new(base, callback, argument, flags, backlog, fd), flags);
}

struct evconnlistener *evconnlistener_new_bind(struct event_base *base, evconnlistener_cb callback, void *argument,
                                               unsigned flags, int backlog, const struct sockaddr *address, int length)
{
    return attach(iocp_stock_evconnlistener_new_bind(base, callback, argument, flags, backlog, address, length), flags);
}

void evconnlistener_free(struct evconnlistener *listener)
{
    acceptor *own = acceptor_find(evconnlistener_get_fd(listener));
    if (own != nullptr)
        acceptor_detach(own);
    iocp_stock_evconnlistener_free(listener);
}

evutil_socket_t iocp_accept4(evutil_socket_t fd, struct sockaddr *address, ev_socklen_t *length, int flags)
{
    acceptor *own = acceptor_find(fd);
    if (own != nullptr && own->face.in_use)
        return acceptor_take(own, address, length, flags);
    return evutil_accept4_(fd, address, length, flags);
}

int iocp_accept_error(evutil_socket_t fd)
{
    int error = WSAGetLastError();
    const acceptor *own = acceptor_find(fd);
    return own != nullptr && own->face.in_use ? error : evutil_socket_geterror(fd);
}
}
