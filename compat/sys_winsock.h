// What the kernel's door has for Winsock's calls, beyond their errors. Only sys*.cpp include this.
#ifndef LIBEVENT_IOCP_COMPAT_SYS_WINSOCK_H
#define LIBEVENT_IOCP_COMPAT_SYS_WINSOCK_H

#include "compat/sys.h"
#include "compat/sys_error.h"

namespace iocp {
namespace sys {

// How an overlapped call of Winsock's went. `skips`: what is done at once leaves no packet.
inline start_result winsock_outcome(bool succeeded, DWORD bytes, bool skips)
{
    if (succeeded)
        return {skips ? started::done : started::pending, 0, bytes};
    int error = WSAGetLastError();
    if (error == WSA_IO_PENDING)
        return {started::pending, 0, 0};
    // Of an overlapped call it means that too many are outstanding, says Microsoft.
    if (error == WSAEWOULDBLOCK)
        error = WSAENOBUFS;
    return {started::failed, error != 0 ? winsock_code(error) : WSAEINVAL, 0};
}

// Usually nothing is layered on the machine's sockets, and no socket need be asked.
bool nothing_is_layered();

// The last cleanup() is under way, and the provider may be unloaded, which ConnectEx and AcceptEx are functions of.
void forget_extensions();

} // namespace sys
} // namespace iocp

#endif
