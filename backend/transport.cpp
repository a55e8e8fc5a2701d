#include "backend/transport.h"

namespace iocp {

namespace {

HANDLE transport_file(evutil_socket_t fd)
{
    return reinterpret_cast<HANDLE>(fd);
}

} // namespace

int transport_max_buffers(sys::transport by, int of_socket)
{
    return by == sys::transport::socket ? of_socket : 1;
}

sys::start_result transport_receive(sys::transport by, port *on, completion *operation, evutil_socket_t fd,
                                    WSABUF *buffer, bool skips)
{
    if (by == sys::transport::socket) {
        OVERLAPPED *overlapped = completion_begin(operation, fd);
        return completion_settle_start(on, operation,
                                       sys::receive(static_cast<SOCKET>(fd), buffer, 1, overlapped, skips));
    }
    OVERLAPPED *overlapped = completion_begin_file(operation, transport_file(fd));
    return completion_settle_start(on, operation, sys::file_receive(transport_file(fd), buffer, overlapped, skips));
}

sys::start_result transport_send(sys::transport by, port *on, completion *operation, evutil_socket_t fd,
                                 WSABUF *buffers, int count, bool skips)
{
    if (by == sys::transport::socket) {
        OVERLAPPED *overlapped = completion_begin(operation, fd);
        return completion_settle_start(
            on, operation, sys::send(static_cast<SOCKET>(fd), buffers, static_cast<DWORD>(count), overlapped, skips));
    }
    EVUTIL_ASSERT(count == 1);
    OVERLAPPED *overlapped = completion_begin_file(operation, transport_file(fd));
    return completion_settle_start(on, operation, sys::file_send(transport_file(fd), buffers, overlapped, skips));
}

int transport_close(sys::transport by, evutil_socket_t fd)
{
    return by == sys::transport::socket ? sys::close_socket(static_cast<SOCKET>(fd))
                                        : sys::file_close(transport_file(fd));
}

void transport_close_for_good(sys::transport by, evutil_socket_t fd)
{
    if (transport_close(by, fd) != WSAEWOULDBLOCK)
        return;
    sys::do_not_wait_when_closed(static_cast<SOCKET>(fd));
    transport_close(by, fd);
}

void transport_close_for_good(SOCKET socket)
{
    transport_close_for_good(sys::transport::socket, static_cast<evutil_socket_t>(socket));
}

} // namespace iocp
