// evhttp's bufferevents: nobody but evhttp uses their descriptors (see compat/http_slot.h).
#include "bufferevent/bufferevent_stream.h"

#include "compat/http_slot.h"

using namespace iocp;

extern "C" {

struct bufferevent *iocp_http_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd, int options)
{
    return bufferevent_socket_new(base, fd, options | option_keeps_descriptor);
}

// One that the program has made for it; it may be one for TLS.
int iocp_http_bufferevent_setfd(struct bufferevent *bev, evutil_socket_t fd)
{
    struct bufferevent_private *bev_private = BEV_UPCAST(bev);
    bev_private->options = static_cast<enum bufferevent_options>(bev_private->options | option_keeps_descriptor);
    return bufferevent_setfd(bev, fd);
}
}
