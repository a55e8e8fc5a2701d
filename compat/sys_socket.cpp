// The kernel's door: what we ask of sockets.
#include "compat/sys.h"
#include "compat/sys_error.h"
#include "compat/sys_nt.h"
#include "compat/sys_winsock.h"

#include <atomic>
#include <stdlib.h>

// Named in neither mingw's nor older SDK's headers.
#ifndef SIO_BASE_HANDLE
#define SIO_BASE_HANDLE 0x48000022
#endif
#ifndef SIO_BSP_HANDLE_SELECT
#define SIO_BSP_HANDLE_SELECT 0x4800001C
#endif
#ifndef SIO_BSP_HANDLE_POLL
#define SIO_BSP_HANDLE_POLL 0x4800001D
#endif
#ifndef SIO_UDP_CONNRESET
#define SIO_UDP_CONNRESET _WSAIOW(IOC_VENDOR, 12)
#endif
#ifndef SIO_UDP_NETRESET
#define SIO_UDP_NETRESET _WSAIOW(IOC_VENDOR, 15)
#endif

namespace iocp {
namespace sys {

namespace {

int handle_from(SOCKET socket, DWORD ioctl, SOCKET *base)
{
    DWORD bytes = 0;
    if (WSAIoctl(socket, ioctl, nullptr, 0, base, sizeof(*base), &bytes, nullptr, nullptr) == 0)
        return 0;
    *base = INVALID_SOCKET;
    return last_winsock_code();
}

bool all_providers_have_ifs_handles()
{
    int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, 0};
    DWORD size = 0;
    WSAEnumProtocolsW(protocols, nullptr, &size);
    auto *catalogue = static_cast<WSAPROTOCOL_INFOW *>(malloc(size));
    if (catalogue == nullptr)
        return false;
    int count = WSAEnumProtocolsW(protocols, catalogue, &size);
    bool all = count > 0;
    for (int i = 0; i < count; ++i)
        all = all && (catalogue[i].dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
    free(catalogue);
    return all;
}

} // namespace

bool nothing_is_layered()
{
    static std::atomic<int> all{-1}; // not known yet; two threads may both find out
    if (all < 0)
        all = all_providers_have_ifs_handles() ? 1 : 0;
    return all == 1;
}

int socket_type(SOCKET socket, int *type)
{
    int length = sizeof(*type);
    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, reinterpret_cast<char *>(type), &length) == 0)
        return 0;
    return last_winsock_code();
}

bool is_connected(SOCKET socket)
{
    struct sockaddr_storage peer;
    int length = sizeof(peer);
    return getpeername(socket, reinterpret_cast<struct sockaddr *>(&peer), &length) == 0;
}

int base_socket(SOCKET socket, SOCKET *base)
{
    // SIO_BASE_HANDLE must not be intercepted, says Microsoft, but some layered providers do; they tend to let the
    // BSP requests through, which take off one layer at a time. The ladder is bounded by the deepest chain seen.
    constexpr int max_layers = 8;
    SOCKET current = socket;
    int error = handle_from(current, SIO_BASE_HANDLE, base);
    for (int layer = 0; error != 0 && error != WSAENOTSOCK && layer < max_layers; ++layer) {
        SOCKET below = INVALID_SOCKET;
        int below_error = handle_from(current, SIO_BSP_HANDLE_POLL, &below);
        if (below_error != 0)
            below_error = handle_from(current, SIO_BSP_HANDLE_SELECT, &below);
        if (below_error != 0 || below == current)
            break;
        current = below;
        error = handle_from(current, SIO_BASE_HANDLE, base);
    }
    return error;
}

void ignore_datagram_report(SOCKET socket, datagram_report which)
{
    // Best effort: without it, the program sees WSAECONNRESET or WSAENETRESET from its receive, as it does on select.
    DWORD request = which == datagram_report::port_unreachable ? SIO_UDP_CONNRESET : SIO_UDP_NETRESET;
    BOOL report = FALSE;
    DWORD bytes = 0;
    int before = WSAGetLastError(); // of the program's last call
    WSAIoctl(socket, request, &report, sizeof(report), nullptr, 0, &bytes, nullptr, nullptr);
    WSASetLastError(before);
}

bool has_ifs_handle(SOCKET socket)
{
    if (nothing_is_layered())
        return true;
    WSAPROTOCOL_INFOW info;
    int length = sizeof(info);
    if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, reinterpret_cast<char *>(&info), &length) != 0)
        return false;
    return (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
}

int leave_port(SOCKET socket)
{
    if (nt().set_information_file == nullptr)
        return ERROR_CALL_NOT_IMPLEMENTED;
    constexpr ULONG replace_completion_information = 61;
    file_completion_information nowhere = {nullptr, nullptr};
    io_status_block status_block = {};
    nt_status status = nt().set_information_file(reinterpret_cast<HANDLE>(socket), &status_block, &nowhere,
                                                 sizeof(nowhere), replace_completion_information);
    return status_to_error(status);
}

start_result receive(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips)
{
    DWORD bytes = 0;
    DWORD flags = 0;
    bool succeeded = WSARecv(socket, buffers, count, &bytes, &flags, overlapped, nullptr) == 0;
    return winsock_outcome(succeeded, bytes, skips);
}

start_result send(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips)
{
    DWORD bytes = 0;
    bool succeeded = WSASend(socket, buffers, count, &bytes, 0, overlapped, nullptr) == 0;
    return winsock_outcome(succeeded, bytes, skips);
}

int receive_now(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes)
{
    DWORD flags = 0;
    return WSARecv(socket, buffers, count, bytes, &flags, nullptr, nullptr) == 0 ? 0 : last_winsock_code();
}

int send_now(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes)
{
    return WSASend(socket, buffers, count, bytes, 0, nullptr, nullptr) == 0 ? 0 : last_winsock_code();
}

uint32_t connection_mark(SOCKET socket)
{
    struct sockaddr_storage ends[2] = {};
    int lengths[2] = {sizeof(ends[0]), sizeof(ends[1])};
    if (getsockname(socket, reinterpret_cast<struct sockaddr *>(&ends[0]), &lengths[0]) != 0 ||
        getpeername(socket, reinterpret_cast<struct sockaddr *>(&ends[1]), &lengths[1]) != 0)
        return 0;
    uint32_t mark = 2166136261u; // Fowler, Noll and Vo's hash
    for (size_t i = 0; i < sizeof(ends); ++i)
        mark = (mark ^ reinterpret_cast<const unsigned char *>(ends)[i]) * 16777619u;
    return mark != 0 ? mark : 1;
}

int peer_address(SOCKET socket, struct sockaddr *address, int *length)
{
    return getpeername(socket, address, length) == 0 ? 0 : last_winsock_code();
}

bool connected_for(SOCKET socket, uint32_t *seconds)
{
    constexpr DWORD not_connected = 0xFFFFFFFF;
    DWORD age = not_connected;
    int length = sizeof(age);
    *seconds = 0;
    if (getsockopt(socket, SOL_SOCKET, SO_CONNECT_TIME, reinterpret_cast<char *>(&age), &length) != 0 ||
        age == not_connected)
        return false;
    *seconds = age;
    return true;
}

bool is_listening(SOCKET socket)
{
    BOOL listening = FALSE;
    int length = sizeof(listening);
    int before = WSAGetLastError(); // of the program's last call, which evutil_socket_geterror goes by
    int failed = getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, reinterpret_cast<char *>(&listening), &length);
    WSASetLastError(before);
    return failed == 0 && listening;
}

int kind_of(SOCKET socket, socket_kind *kind)
{
    WSAPROTOCOL_INFOW info;
    int length = sizeof(info);
    if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL_INFO, reinterpret_cast<char *>(&info), &length) != 0)
        return last_winsock_code();
    *kind = {info.iAddressFamily, info.iSocketType, info.iProtocol};
    return 0;
}

int set_blocking(SOCKET socket, bool blocks)
{
    u_long never_blocks = blocks ? 0 : 1;
    return ioctlsocket(socket, FIONBIO, &never_blocks) == 0 ? 0 : last_winsock_code();
}

void end_connection(SOCKET socket)
{
    shutdown(socket, SD_BOTH);
}

void end_sending(SOCKET socket)
{
    shutdown(socket, SD_SEND);
}

void reset_when_closed(SOCKET socket)
{
    struct linger at_once = {1, 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&at_once), sizeof(at_once));
}

void do_not_wait_when_closed(SOCKET socket)
{
    struct linger never = {0, 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&never), sizeof(never));
}

bool is_reset_when_closed(SOCKET socket)
{
    struct linger how = {0, 0};
    int length = sizeof(how);
    return getsockopt(socket, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&how), &length) == 0 &&
           how.l_onoff != 0 && how.l_linger == 0;
}

int close_socket(SOCKET socket)
{
    return closesocket(socket) == 0 ? 0 : last_winsock_code();
}

} // namespace sys
} // namespace iocp
