#include "bufferevent/bufferevent_stream.h"

namespace iocp {

backend *backend_for(const struct bufferevent *bev)
{
    return bev->ev_base != nullptr ? backend_of(bev->ev_base) : nullptr;
}

stream *stream_for(const struct bufferevent *bev)
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
