// The fake kernel's error codes: how operations end, and what Winsock has for it.
#include "support/fake_kernel.h"

namespace iocp {
namespace fake {

namespace {

struct status_entry {
    nt_status status;
    int error;
};

constexpr nt_status as_status(ULONG value)
{
    return static_cast<nt_status>(value);
}

// As Wine's tests and Windows's behaviour have it; what Winsock does not know is WSAEINVAL to it.
constexpr status_entry statuses[] = {
    {as_status(0xC0000120), WSA_OPERATION_ABORTED}, // CANCELLED
    {as_status(0xC0000008), WSAENOTSOCK},           // INVALID_HANDLE
    {as_status(0xC000020D), WSAECONNRESET},         // CONNECTION_RESET
    {as_status(0xC000020C), WSAECONNRESET},         // CONNECTION_DISCONNECTED
    {as_status(0xC000013C), WSAECONNRESET},         // REMOTE_DISCONNECT
    {as_status(0xC000013E), WSAECONNRESET},         // LINK_FAILED
    {as_status(0xC000013B), WSAECONNABORTED},       // LOCAL_DISCONNECT
    {as_status(0xC0000241), WSAECONNABORTED},       // CONNECTION_ABORTED
    {as_status(0xC000009A), WSAENOBUFS},            // INSUFFICIENT_RESOURCES
    {as_status(0xC0000017), WSAENOBUFS},            // NO_MEMORY
    {as_status(0xC00000A3), WSAENOBUFS},            // DEVICE_NOT_READY, which sys gives as a shortage
    {as_status(0xC0000236), WSAECONNREFUSED},       // CONNECTION_REFUSED
    {as_status(0xC00000BC), WSAECONNREFUSED},       // REMOTE_NOT_LISTENING
    {as_status(0xC00000B5), WSAETIMEDOUT},          // IO_TIMEOUT
    {as_status(0xC000013F), WSAETIMEDOUT},          // LINK_TIMEOUT
    {as_status(0xC000023D), WSAEHOSTUNREACH},       // HOST_UNREACHABLE
    {as_status(0xC000023C), WSAENETUNREACH},        // NETWORK_UNREACHABLE
    {as_status(0xC00000C4), WSAENETDOWN},           // UNEXPECTED_NETWORK_ERROR
    {as_status(0xC0000043), WSAEADDRINUSE},         // SHARING_VIOLATION
    {as_status(0xC000020A), WSAEADDRINUSE},         // ADDRESS_ALREADY_EXISTS
    {as_status(0xC0000141), WSAEADDRNOTAVAIL},      // INVALID_ADDRESS
    {as_status(0xC000023A), WSAENOTCONN},           // CONNECTION_INVALID
    {as_status(0xC00000B0), WSAESHUTDOWN},          // PIPE_DISCONNECTED
    {as_status(0xC0000237), WSAEDISCON},            // GRACEFUL_DISCONNECT
    {as_status(0x80000005), WSAEMSGSIZE},           // BUFFER_OVERFLOW
    {as_status(0xC0000022), WSAEACCES},             // ACCESS_DENIED
    {as_status(0xC00000C9), WSAEINVAL},             // NETWORK_NAME_DELETED
    {as_status(0xC0000001), WSAEINVAL},             // UNSUCCESSFUL
};

// Of what is no socket: as RtlNtStatusToDosError has it.
constexpr status_entry file_statuses[] = {
    {as_status(0xC0000120), ERROR_OPERATION_ABORTED},   // CANCELLED
    {as_status(0xC0000008), ERROR_INVALID_HANDLE},      // INVALID_HANDLE
    {as_status(0xC000014B), ERROR_BROKEN_PIPE},         // PIPE_BROKEN
    {as_status(0xC00000B1), ERROR_NO_DATA},             // PIPE_CLOSING
    {as_status(0xC00000B0), ERROR_PIPE_NOT_CONNECTED},  // PIPE_DISCONNECTED
    {as_status(0xC0000011), ERROR_HANDLE_EOF},          // END_OF_FILE
    {as_status(0x80000005), ERROR_MORE_DATA},           // BUFFER_OVERFLOW
    {as_status(0xC000009A), ERROR_NO_SYSTEM_RESOURCES}, // INSUFFICIENT_RESOURCES
    {as_status(0xC0000022), ERROR_ACCESS_DENIED},       // ACCESS_DENIED
    {as_status(0xC0000056), ERROR_ACCESS_DENIED},       // DELETE_PENDING
};

} // namespace

nt_status random_failure()
{
    return statuses[random() % (sizeof(statuses) / sizeof(statuses[0]))].status;
}

void set_next_status(nt_status status)
{
    k().next_status = status;
}

nt_status status_after_all(nt_status status)
{
    nt_status planned = k().next_status;
    k().next_status = status_success;
    if (planned == status_success && happens(k().odds.odd_status))
        planned = random_failure();
    if (planned == status_success)
        return status;
    k().any_aborted = k().any_aborted || sys::status_to_error(planned) == WSAECONNABORTED;
    return planned;
}

} // namespace fake

namespace sys {

using namespace fake;

int status_to_error(nt_status status)
{
    if (status >= 0)
        return 0;
    for (const status_entry &entry : statuses)
        if (entry.status == status)
            return entry.error;
    return WSAEINVAL;
}

int file_error(nt_status status)
{
    if (status >= 0)
        return 0;
    for (const status_entry &entry : file_statuses)
        if (entry.status == status)
            return entry.error;
    return ERROR_GEN_FAILURE;
}

int operation_error(SOCKET, OVERLAPPED *overlapped)
{
    auto found = k().operations.find(overlapped);
    if (found != k().operations.end() && found->second.what == work::poll)
        complain("Winsock is asked how a poll has ended, of which it knows nothing");
    return status_to_error(static_cast<nt_status>(overlapped->Internal));
}

} // namespace sys
} // namespace iocp
