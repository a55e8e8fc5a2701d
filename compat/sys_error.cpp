// The kernel's door: error codes. Programs compare them with Winsock's, which begin at 10000; below, they know
// WSA_OPERATION_ABORTED alone.
#include "compat/sys_error.h"
#include "compat/sys.h"
#include "compat/sys_nt.h"

namespace iocp {
namespace sys {

namespace {

struct system_entry {
    int error;
    int winsock;
};

struct status_entry {
    nt_status status;
    int winsock;
};

constexpr nt_status as_status(ULONG value)
{
    return static_cast<nt_status>(value);
}

} // namespace

int winsock_code(int error)
{
    // Providers pass the system's own codes on, ConnectEx and AcceptEx most of all.
    static constexpr system_entry table[] = {
        {ERROR_INVALID_HANDLE, WSAENOTSOCK},          {ERROR_ACCESS_DENIED, WSAEACCES},
        {ERROR_NOT_ENOUGH_MEMORY, WSAENOBUFS},        {ERROR_OUTOFMEMORY, WSAENOBUFS},
        {ERROR_NO_SYSTEM_RESOURCES, WSAENOBUFS},      {ERROR_WORKING_SET_QUOTA, WSAENOBUFS},
        {ERROR_COMMITMENT_LIMIT, WSAENOBUFS},         {ERROR_NOT_ENOUGH_QUOTA, WSAENOBUFS},
        {ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE},       {ERROR_NETNAME_DELETED, WSAECONNRESET},
        {ERROR_PORT_UNREACHABLE, WSAECONNRESET},      {ERROR_CONNECTION_ABORTED, WSAECONNABORTED},
        {ERROR_CONNECTION_REFUSED, WSAECONNREFUSED},  {ERROR_SEM_TIMEOUT, WSAETIMEDOUT},
        {ERROR_HOST_UNREACHABLE, WSAEHOSTUNREACH},    {ERROR_NETWORK_UNREACHABLE, WSAENETUNREACH},
        {ERROR_PROTOCOL_UNREACHABLE, WSAENETUNREACH}, {ERROR_ADDRESS_ALREADY_ASSOCIATED, WSAEADDRINUSE},
        {ERROR_CONNECTION_INVALID, WSAENOTCONN},      {ERROR_MORE_DATA, WSAEMSGSIZE},
        {ERROR_NOT_SUPPORTED, WSAEOPNOTSUPP},         {ERROR_CALL_NOT_IMPLEMENTED, WSAEOPNOTSUPP},
    };
    if (error == 0 || error == WSA_OPERATION_ABORTED || error >= WSABASEERR)
        return error;
    for (const system_entry &entry : table)
        if (entry.error == error)
            return entry.winsock;
    return WSAEINVAL; // as Winsock has it of a status that it does not know
}

int last_winsock_code()
{
    int error = winsock_code(WSAGetLastError());
    return error != 0 ? error : WSAEINVAL;
}

int operation_error(SOCKET socket, OVERLAPPED *overlapped)
{
    auto status = static_cast<nt_status>(overlapped->Internal);
    if (status >= 0)
        return 0;
    // Winsock looks only at what the packet has left here, but refuses a socket that has been closed since.
    DWORD bytes = 0;
    DWORD flags = 0;
    if (WSAGetOverlappedResult(socket, overlapped, &bytes, FALSE, &flags))
        return 0;
    int error = last_winsock_code();
    if (error == WSAENOTSOCK)
        return status_to_error(status);
    return error == WSAEWOULDBLOCK ? WSAENOBUFS : error; // as where an operation starts
}

// What Winsock makes of them; it tells only of operations on sockets, and AFD's polls are none. RtlNtStatusToDosError
// gives file-system codes for several of these. Names as in ntstatus.h.
int status_to_error(nt_status status)
{
    static constexpr status_entry table[] = {
        {as_status(0xC0000120), WSA_OPERATION_ABORTED}, // CANCELLED
        {as_status(0xC0000008), WSAENOTSOCK},           // INVALID_HANDLE
        {as_status(0xC0000024), WSAENOTSOCK},           // OBJECT_TYPE_MISMATCH
        {as_status(0xC0000010), WSAENOTSOCK},           // INVALID_DEVICE_REQUEST
        {as_status(0xC000020D), WSAECONNRESET},         // CONNECTION_RESET
        {as_status(0xC000013C), WSAECONNRESET},         // REMOTE_DISCONNECT
        {as_status(0xC000023F), WSAECONNRESET},         // PORT_UNREACHABLE
        {as_status(0xC000020C), WSAECONNRESET},         // CONNECTION_DISCONNECTED
        {as_status(0xC000013B), WSAECONNABORTED},       // LOCAL_DISCONNECT
        {as_status(0xC0000241), WSAECONNABORTED},       // CONNECTION_ABORTED
        {as_status(0xC000009A), WSAENOBUFS},            // INSUFFICIENT_RESOURCES
        {as_status(0xC0000017), WSAENOBUFS},            // NO_MEMORY
        {as_status(0xC0000044), WSAENOBUFS},            // QUOTA_EXCEEDED
        {as_status(0xC00000A1), WSAENOBUFS},            // WORKING_SET_QUOTA
        {as_status(0xC000011F), WSAEMFILE},             // TOO_MANY_OPENED_FILES
        {as_status(0xC0000236), WSAECONNREFUSED},       // CONNECTION_REFUSED
        {as_status(0xC00000B5), WSAETIMEDOUT},          // IO_TIMEOUT
        {as_status(0xC000023D), WSAEHOSTUNREACH},       // HOST_UNREACHABLE
        {as_status(0xC00000BE), WSAENETUNREACH},        // BAD_NETWORK_PATH
        {as_status(0xC000023C), WSAENETUNREACH},        // NETWORK_UNREACHABLE
        {as_status(0xC000023E), WSAENETUNREACH},        // PROTOCOL_UNREACHABLE
        {as_status(0xC0000207), WSAEADDRNOTAVAIL},      // INVALID_ADDRESS_COMPONENT
        {as_status(0xC0000141), WSAEADDRNOTAVAIL},      // INVALID_ADDRESS
        {as_status(0xC000020A), WSAEADDRINUSE},         // ADDRESS_ALREADY_EXISTS
        {as_status(0x80000005), WSAEMSGSIZE},           // BUFFER_OVERFLOW
        {as_status(0xC0000238), WSAEISCONN},            // ADDRESS_ALREADY_ASSOCIATED
        {as_status(0xC000023A), WSAENOTCONN},           // CONNECTION_INVALID
        {as_status(0xC0000140), WSAENOTCONN},           // INVALID_CONNECTION
        {as_status(0xC0000022), WSAEACCES},             // ACCESS_DENIED
        {as_status(0xC00000B0), WSAESHUTDOWN},          // PIPE_DISCONNECTED
        {as_status(0xC0000237), WSAEDISCON},            // GRACEFUL_DISCONNECT
        {as_status(0xC0000209), WSAENOBUFS},            // TOO_MANY_ADDRESSES
        {as_status(0xC0000043), WSAEADDRINUSE},         // SHARING_VIOLATION
        {as_status(0xC000013F), WSAETIMEDOUT},          // LINK_TIMEOUT
        {as_status(0xC000013E), WSAECONNRESET},         // LINK_FAILED
        {as_status(0xC00000C4), WSAENETDOWN},           // UNEXPECTED_NETWORK_ERROR
        {as_status(0xC00000BF), WSAENETDOWN},           // NETWORK_BUSY
        {as_status(0xC000023B), WSAEISCONN},            // CONNECTION_ACTIVE
        {as_status(0xC000012D), WSAENOBUFS},            // COMMITMENT_LIMIT
        {as_status(0xC00000A3), WSAENOBUFS},            // DEVICE_NOT_READY: too many operations at once
        {as_status(0xC00000BC), WSAECONNREFUSED},       // REMOTE_NOT_LISTENING
        {as_status(0xC00000C9), WSAECONNRESET},         // NETWORK_NAME_DELETED
    };
    if (status >= 0)
        return 0;
    for (const status_entry &entry : table)
        if (entry.status == status)
            return entry.winsock;
    int error = winsock_code(static_cast<int>(nt().status_to_dos_error(status)));
    return error != 0 ? error : WSAEINVAL;
}

int file_error(nt_status status)
{
    if (status >= 0)
        return 0;
    int error = static_cast<int>(nt().status_to_dos_error(status));
    return error != 0 ? error : ERROR_GEN_FAILURE;
}

} // namespace sys
} // namespace iocp
