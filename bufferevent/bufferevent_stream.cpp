#include "bufferevent/bufferevent_stream.h"

namespace iocp {

backend *backend_for(const struct bufferevent *bev)
{
    return bev->ev_base != nullptr ? backend_of(bev->ev_base) : nullptr;
}

namespace {

struct event_base *stream_base(const struct bufferevent *bev)
{
    const backend *owner = event_get_fd(&bev->ev_read) >= 0 ? backend_for(bev) : nullptr;
    return owner != nullptr ? owner->base : nullptr;
}

stream *stream_for(const struct bufferevent *bev)
{
    if (stream_base(bev) == nullptr)
        return nullptr;
    stream *found = stream_find(backend_for(bev), event_get_fd(&bev->ev_read));
    return found != nullptr && found->holder == bev ? found : nullptr;
}

} // namespace

stream_use::stream_use(const struct bufferevent *bev) : held(stream_base(bev)), own(stream_for(bev))
{
}

void stream_detach(const struct bufferevent *bev, bool closing)
{
    stream_use held(bev);
    if (held.own != nullptr)
        stream_release(held.own, closing);
}

} // namespace iocp
