// The kernel's door: which sockets child processes inherit.
#include "compat/sys.h"
#include "compat/sys_error.h"

namespace iocp {
namespace sys {

int socket_like(const socket_kind &kind, SOCKET *socket)
{
    constexpr DWORD no_inherit = 0x80; // WSA_FLAG_NO_HANDLE_INHERIT: Windows 7 SP1 and later
    *socket = WSASocketW(kind.family, kind.type, kind.protocol, nullptr, 0, WSA_FLAG_OVERLAPPED | no_inherit);
    if (*socket == INVALID_SOCKET && WSAGetLastError() == WSAEINVAL) {
        *socket = WSASocketW(kind.family, kind.type, kind.protocol, nullptr, 0, WSA_FLAG_OVERLAPPED);
        if (*socket != INVALID_SOCKET)
            set_inherited(*socket, false);
    }
    return *socket != INVALID_SOCKET ? 0 : last_winsock_code();
}

void set_inherited(HANDLE handle, bool inherited)
{
    // Both flags are named, so that the other one does not have to be asked for first.
    SetHandleInformation(handle, HANDLE_FLAG_INHERIT | HANDLE_FLAG_PROTECT_FROM_CLOSE,
                         inherited ? HANDLE_FLAG_INHERIT : 0);
}

} // namespace sys
} // namespace iocp
