// evutil_closesocket: where a descriptor's life ends.
#include "backend/socket_lingering.h"
#include "backend/socket_registry.h"
#include "backend/transport.h"
#include "bufferevent/stream.h"

#include "compat/http_slot.h"

using namespace iocp;

namespace {

// True if the socket is closed by the last operation on it. `by`: what it is, if not.
bool closing_waits(backend *owner, evutil_socket_t fd, sys::transport *by)
{
    base_locked held(owner->base);
    stream *own = stream_find(owner, fd);
    if (own != nullptr)
        stream_release(own, true);
    socket_record *record = socket_find(owner, fd);
    if (record == nullptr)
        return false;
    socket_forget_file(record);
    *by = record->transport;
    return linger_close(record);
}

bool closing_shutdown_waits(backend *owner, evutil_socket_t fd)
{
    base_locked held(owner->base);
    stream *own = stream_find(owner, fd);
    socket_record *record = socket_find(owner, fd);
    bool later = own == nullptr && record != nullptr && linger_shutdown(record);
    return later;
}

} // namespace

extern "C" {

int evutil_closesocket(evutil_socket_t fd)
{
    auto by = sys::transport::socket;
    registry_note_close(fd);
    {
        registry_use held(fd);
        if (held.owner != nullptr && !backend_is_out_of_reach(held.owner) && closing_waits(held.owner, fd, &by))
            return 0;
    }
    int error = transport_close(by, fd);
    if (error != 0)
        WSASetLastError(error);
    return error == 0 ? 0 : -1;
}

int iocp_http_shutdown(evutil_socket_t fd, int how)
{
    registry_use held(fd);
    if (held.owner != nullptr && !backend_is_out_of_reach(held.owner) && closing_shutdown_waits(held.owner, fd))
        return 0;
    return shutdown(static_cast<SOCKET>(fd), how);
}
}
