// From a bufferevent to its base's backend and its descriptor's stream.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_BUFFEREVENT_STREAM_H
#define LIBEVENT_IOCP_BUFFEREVENT_BUFFEREVENT_STREAM_H

#include "bufferevent/stream.h"

namespace iocp {

// The table of TLS bufferevents on a port, for who may be given one (event_openssl need not be linked). NULL: none was
// made yet.
extern const struct bufferevent_ops *tls_ops;

inline backend *backend_for(const struct bufferevent *bev)
{
    return bev->ev_base != nullptr ? backend_of(bev->ev_base) : nullptr;
}

// An option of ours beside libevent's: nobody but the bufferevent's maker uses its descriptor, and closes it.
constexpr int option_keeps_descriptor = 1 << 24;

// Another: its descriptor is a file's HANDLE (see handle_bufferevent.cpp).
constexpr int option_has_file = 1 << 25;

// Between two of libevent's questions: its connect is refused, since it is connected, or is about to be.
constexpr int option_refuses_connect = 1 << 26;
constexpr int option_is_connecting = 1 << 27;

inline bool has_file(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & option_has_file) != 0;
}

// Its descriptor is closed by libevent, and so by evutil_closesocket, and used by nobody else meanwhile.
inline bool owns_descriptor(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & (BEV_OPT_CLOSE_ON_FREE | option_keeps_descriptor)) != 0;
}

// bufferevent_socket_connect is about to fail: the descriptor that it sets before is the one that is there, and stays as it
// is.
inline bool connect_is_refused(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & option_refuses_connect) != 0;
}

// Its descriptor is about to be closed when it goes. (evhttp's, too: by evhttp.)
inline bool closes_descriptor(const struct bufferevent *bev)
{
    return has_file(bev) ? (BEV_UPCAST(bev)->options & BEV_OPT_CLOSE_ON_FREE) != 0 : owns_descriptor(bev);
}

// Of one with a file: gives it another, or none (-1). False with the socket error set: it cannot be had, and nothing has
// changed.
bool handle_attach(struct bufferevent *bev, evutil_socket_t fd);

// The bufferevent's own stream. (A bufferevent is destroyed some turns after it was freed, and by then another may have
// its descriptor.)
inline stream *stream_for(const struct bufferevent *bev)
{
    backend *owner = backend_for(bev);
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    if (owner == nullptr || fd < 0)
        return nullptr;
    base_locked held(owner->base);
    stream *found = stream_find(owner, fd);
    return found != nullptr && found->holder == bev ? found : nullptr;
}

} // namespace iocp

#endif
