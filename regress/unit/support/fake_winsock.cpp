// The calls by which libevent itself uses a socket that is not on the port: they reach the fake's sockets too, and for
// any other number the real Winsock, as bases on select need it.
#include "support/fake_kernel.h"

#include <string.h>

#include "support/imports.h"

namespace iocp {
namespace fake {

namespace {

constexpr wchar_t winsock[] = L"ws2_32.dll";

template <typename Function> Function real(Function like, const char *name)
{
    return exported(like, winsock, name);
}

int fail(int error)
{
    WSASetLastError(error);
    return SOCKET_ERROR;
}

void fill_name(const socket_object &socket, struct sockaddr *name, int *length)
{
    if (name == nullptr || length == nullptr)
        return;
    struct sockaddr_in address = loopback(socket.peer_port);
    memcpy(name, &address, sizeof(address));
    *length = static_cast<int>(sizeof(address));
}

SOCKET WSAAPI plain_accept(SOCKET socket, struct sockaddr *name, int *length)
{
    socket_object *listener = find_socket(socket);
    if (listener == nullptr)
        return real(plain_accept, "accept")(socket, name, length);
    int error = enter(call::plain_accept);
    if (error == 0 && listener->backlog.empty())
        error = WSAEWOULDBLOCK;
    SOCKET taken = INVALID_SOCKET;
    if (error == 0)
        error = take_connection(socket, &taken);
    if (error == 0)
        fill_name(*find_socket(taken), name, length);
    else
        fail(error);
    return taken;
}

void end_connect(SOCKET socket, uint64_t serial, nt_status status)
{
    socket_object *connecting = find_socket(socket);
    if (connecting == nullptr || connecting->serial != serial)
        return;
    if (status == status_success) {
        connect_now(socket);
        return;
    }
    connecting->connect_failed = status;
    set_level(socket, connecting->level | sys::afd_connect_failed);
}

int WSAAPI plain_connect(SOCKET socket, const struct sockaddr *name, int length)
{
    socket_object *connecting = find_socket(socket);
    if (connecting == nullptr)
        return real(plain_connect, "connect")(socket, name, length);
    int error = enter(call::plain_connect);
    if (error != 0)
        return fail(error);
    nt_status status = k().connect_result;
    uint64_t serial = connecting->serial;
    connecting->bound = true;
    auto end = [=] { end_connect(socket, serial, status); };
    if (comes_later(end))
        return fail(WSAEWOULDBLOCK);
    if (status == status_refused && k().held_to.refused_late && happens(500))
        at(k().now + refusal_us, end);
    else
        end();
    return fail(WSAEWOULDBLOCK);
}

int WSAAPI plain_receive(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes, DWORD *flags,
                         OVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    if (find_socket(socket) == nullptr)
        return real(plain_receive, "WSARecv")(socket, buffers, count, bytes, flags, overlapped, routine);
    int error = enter(call::plain_receive);
    if (error == 0)
        error = receive_at_once(socket, buffers, count, bytes);
    return error == 0 ? 0 : fail(error);
}

int WSAAPI plain_send(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes, DWORD flags, OVERLAPPED *overlapped,
                      LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    if (find_socket(socket) == nullptr)
        return real(plain_send, "WSASend")(socket, buffers, count, bytes, flags, overlapped, routine);
    int error = enter(call::plain_send);
    if (error == 0)
        error = send_at_once(socket, buffers, count, bytes);
    return error == 0 ? 0 : fail(error);
}

int WSAAPI plain_name(SOCKET socket, struct sockaddr *name, int *length)
{
    const socket_object *named = find_socket(socket);
    if (named == nullptr)
        return real(plain_name, "getpeername")(socket, name, length);
    if (!is_whole(socket))
        return fail(WSAENOTCONN);
    fill_name(*named, name, length);
    return 0;
}

int WSAAPI plain_option(SOCKET socket, int level, int option, char *value, int *length)
{
    const socket_object *asked = find_socket(socket);
    if (asked == nullptr)
        return real(plain_option, "getsockopt")(socket, level, option, value, length);
    if (level != SOL_SOCKET || option != SO_ERROR)
        return fail(WSAENOPROTOOPT);
    int failed = enter(call::plain_option);
    if (failed != 0)
        return fail(failed);
    int error = sys::status_to_error(asked->connect_failed);
    memcpy(value, &error, sizeof(error));
    return 0;
}

int WSAAPI plain_control(SOCKET socket, long command, u_long *argument)
{
    const socket_object *asked = find_socket(socket);
    if (asked == nullptr)
        return real(plain_control, "ioctlsocket")(socket, command, argument);
    if (command == static_cast<long>(FIONREAD))
        *argument = static_cast<u_long>(asked->inbox.size());
    else if (command == static_cast<long>(FIONBIO))
        set_never_blocks(socket, *argument != 0);
    return 0;
}

// Windows knows of a connection by ConnectEx or AcceptEx only after its last step.
int WSAAPI plain_shutdown(SOCKET socket, int how)
{
    if (find_socket(socket) == nullptr)
        return real(plain_shutdown, "shutdown")(socket, how);
    if (!is_whole(socket))
        return fail(WSAENOTCONN);
    how == SD_SEND ? sys::end_sending(socket) : sys::end_connection(socket);
    return 0;
}

} // namespace

// Those that the program calls: a small one does not call them all.
void start_winsock()
{
    static bool replaced = false;
    if (replaced)
        return;
    replace_import(winsock, "accept", plain_accept);
    replace_import(winsock, "connect", plain_connect);
    replace_import(winsock, "WSARecv", plain_receive);
    replace_import(winsock, "WSASend", plain_send);
    replace_import(winsock, "getpeername", plain_name);
    replace_import(winsock, "getsockopt", plain_option);
    replace_import(winsock, "ioctlsocket", plain_control);
    replace_import(winsock, "shutdown", plain_shutdown);
    replaced = true;
}

} // namespace fake
} // namespace iocp
