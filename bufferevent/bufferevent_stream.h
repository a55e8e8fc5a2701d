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

// The bufferevent's own stream. (A bufferevent is destroyed some turns after it was freed, and by then another may have
// its descriptor.)
inline stream *stream_for(const struct bufferevent *bev)
{
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    stream *found = fd >= 0 ? stream_find(fd) : nullptr;
    return found != nullptr && found->holder == bev ? found : nullptr;
}

} // namespace iocp

#endif
