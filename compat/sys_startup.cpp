// The kernel's door: process start-up, the NT import list, the status table.
#include "compat/sys.h"
#include "compat/sys_nt.h"

#include <atomic>

namespace iocp {
namespace sys {

namespace {

nt_calls calls;
SRWLOCK startup_lock = SRWLOCK_INIT;
std::atomic<int> precise_users{0};

constexpr ULONG precise_period_100ns = 5000; // half a millisecond, the finest that Windows grants

template <typename Function> bool find(HMODULE module, const char *name, Function *function)
{
    FARPROC address = GetProcAddress(module, name);
    // Through void (*)(): a direct cast between unrelated function types is warned about.
    *function = reinterpret_cast<Function>(reinterpret_cast<void (*)()>(address));
    return address != nullptr;
}

int find_nt_calls()
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    if (ntdll == nullptr)
        return static_cast<int>(GetLastError());
    bool found = find(ntdll, "NtCreateFile", &calls.create_file) &&
                 find(ntdll, "NtDeviceIoControlFile", &calls.device_io_control_file) &&
                 find(ntdll, "RtlNtStatusToDosError", &calls.status_to_dos_error);
    find(ntdll, "NtRemoveIoCompletionEx", &calls.remove_io_completion_ex);
    find(ntdll, "NtSetTimerResolution", &calls.set_timer_resolution); // a base works without it
    return found ? 0 : ERROR_PROC_NOT_FOUND;
}

struct status_entry {
    nt_status status;
    int error;
};

constexpr nt_status as_status(ULONG value)
{
    return static_cast<nt_status>(value);
}

} // namespace

const nt_calls &nt()
{
    return calls;
}

int startup()
{
    WSADATA data;
    int error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0)
        return error;
    AcquireSRWLockExclusive(&startup_lock);
    error = calls.create_file != nullptr ? 0 : find_nt_calls();
    ReleaseSRWLockExclusive(&startup_lock);
    if (error != 0)
        WSACleanup();
    return error;
}

void cleanup()
{
    WSACleanup();
}

// Winsock's own translation, which it keeps to itself for operations that end at a port: RtlNtStatusToDosError gives
// file-system codes for several of these. Names as in ntstatus.h.
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
    };
    if (status >= 0)
        return 0;
    for (const status_entry &entry : table)
        if (entry.status == status)
            return entry.error;
    int error = static_cast<int>(calls.status_to_dos_error(status));
    return error != 0 ? error : WSAEINVAL;
}

bool clock_is_precise()
{
    return precise_users.load(std::memory_order_relaxed) > 0;
}

void precise_clock(bool on)
{
    int before = precise_users.fetch_add(on ? 1 : -1);
    ULONG actual;
    if (before == (on ? 0 : 1) && calls.set_timer_resolution != nullptr)
        calls.set_timer_resolution(precise_period_100ns, on ? TRUE : FALSE, &actual);
}

} // namespace sys
} // namespace iocp
