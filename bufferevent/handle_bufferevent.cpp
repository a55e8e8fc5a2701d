// event2/iocp_handle.h: libevent's socket bufferevent, whose descriptor is a file's HANDLE.
#include "bufferevent/bufferevent_stream.h"

#include "compat/bufferevent_slot.h"
#include "event2/iocp_handle.h"

using namespace iocp;

namespace {

struct bufferevent *handle_fail(int error)
{
    WSASetLastError(error);
    return nullptr;
}

// The handle, which nobody closes, is its program's.
struct bufferevent *handle_give_up(struct bufferevent *bev)
{
    int error = WSAGetLastError();
    BEV_UPCAST(bev)->options = static_cast<enum bufferevent_options>(BEV_UPCAST(bev)->options & ~BEV_OPT_CLOSE_ON_FREE);
    bufferevent_free(bev);
    return handle_fail(error);
}

bool handle_find_transport(evutil_socket_t fd, sys::transport *by)
{
    int error = fd > 0 ? sys::file_transport(reinterpret_cast<HANDLE>(fd), by) : ERROR_INVALID_HANDLE;
    if (error != 0)
        WSASetLastError(error);
    return error == 0;
}

bool handle_attach_new(struct bufferevent *bev, evutil_socket_t fd)
{
    auto by = sys::transport::socket;
    if (!handle_find_transport(fd, &by))
        return false;
    // What its program has by itself between two bufferevents, it can read by itself.
    bool never_ahead = !closes_descriptor(bev);
    backend *owner = backend_for(bev);
    base_locked held(owner->base);
    if (stream_attach_file(owner, fd, bev, by, never_ahead) == nullptr)
        return false;
    if (by == sys::transport::device)
        sys::file_wait_for_first_bytes(reinterpret_cast<HANDLE>(fd));
    return true;
}

// The handle that it has. It goes on with that, if its program has not closed it meanwhile, and it is another one.
bool handle_attach_again(struct bufferevent *bev)
{
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    auto by = sys::transport::socket;
    if (!handle_find_transport(fd, &by))
        return false;
    {
        stream_use before(bev);
        if (before.own != nullptr && !socket_is_stale(stream_owner(before.own), fd, by))
            return true;
        if (before.own != nullptr)
            stream_release(before.own, false); // the number has room for one
    }
    if (handle_attach_new(bev, fd))
        return true;
    int error = WSAGetLastError();
    bufferevent_setfd(bev, -1); // it would close as a socket what is no socket
    WSASetLastError(error);
    return false;
}

} // namespace

namespace iocp {

bool handle_attach(struct bufferevent *bev, evutil_socket_t fd)
{
    if (event_get_fd(&bev->ev_read) == fd && stream_use(bev).own != nullptr)
        return handle_attach_again(bev);
    if (fd != -1 && !handle_attach_new(bev, fd))
        return false;
    stream_detach(bev, false);
    return true;
}

} // namespace iocp

struct bufferevent *bufferevent_iocp_handle_new(struct event_base *base, void *handle, int options)
{
    if (base == nullptr || backend_of(base) == nullptr)
        return handle_fail(WSAEOPNOTSUPP);
    if ((options & BEV_OPT_UNLOCK_CALLBACKS) != 0 && (options & BEV_OPT_DEFER_CALLBACKS) == 0)
        return handle_fail(WSAEINVAL);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, options | option_keeps_descriptor | option_has_file);
    if (bev == nullptr)
        return handle_fail(WSAENOBUFS);
    auto fd = reinterpret_cast<evutil_socket_t>(handle);
    // To set a descriptor enables once more what is enabled, and tells of a write that nobody has asked for.
    short enabled = bev->enabled;
    bev->enabled = 0;
    bool is_set = fd == -1 || bufferevent_setfd(bev, fd) == 0;
    bev->enabled = enabled;
    return is_set ? bev : handle_give_up(bev);
}
