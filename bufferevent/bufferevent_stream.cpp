#include "bufferevent/bufferevent_stream.h"

namespace iocp {

backend *backend_for(const struct bufferevent *bev)
{
    return bev->ev_base != nullptr ? backend_of(bev->ev_base) : nullptr;
}

namespace {

// NULL: it can have no stream.
backend *stream_owner_for(const struct bufferevent *bev)
{
    return descriptor_of(bev) >= 0 ? backend_for(bev) : nullptr;
}

stream *stream_for(const struct bufferevent *bev, backend *owner)
{
    stream *found = owner != nullptr ? stream_find(owner, descriptor_of(bev)) : nullptr;
    return found != nullptr && found->holder == bev ? found : nullptr;
}

} // namespace

stream_use::stream_use(const struct bufferevent *bev) : stream_use(bev, stream_owner_for(bev))
{
}

stream_use::stream_use(const struct bufferevent *bev, backend *owner)
    : held(owner != nullptr ? owner->base : nullptr), own(stream_for(bev, owner))
{
}

void stream_detach(const struct bufferevent *bev, bool closing)
{
    stream_use held(bev);
    if (held.own != nullptr)
        stream_release(held.own, closing);
}

} // namespace iocp
