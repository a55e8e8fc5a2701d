// The kernel's door: process start-up, the NT import list.
#include "compat/sys.h"
#include "compat/sys_error.h"
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
        return last_win32_code();
    bool found = find(ntdll, "NtCreateFile", &calls.create_file) &&
                 find(ntdll, "NtDeviceIoControlFile", &calls.device_io_control_file) &&
                 find(ntdll, "RtlNtStatusToDosError", &calls.status_to_dos_error);
    find(ntdll, "NtRemoveIoCompletionEx", &calls.remove_io_completion_ex);
    // A base works without these.
    find(ntdll, "NtSetTimerResolution", &calls.set_timer_resolution);
    find(ntdll, "NtSetInformationFile", &calls.set_information_file);
    find(ntdll, "NtQueryInformationFile", &calls.query_information_file);
    find(ntdll, "NtQueryObject", &calls.query_object);
    if (!find(ntdll, "NtAssociateWaitCompletionPacket", &calls.associate_wait_packet) ||
        !find(ntdll, "NtCancelWaitCompletionPacket", &calls.cancel_wait_packet) ||
        !find(ntdll, "NtCreateWaitCompletionPacket", &calls.create_wait_packet))
        calls.create_wait_packet = nullptr;
    return found ? 0 : ERROR_PROC_NOT_FOUND;
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

bool clock_is_precise()
{
    return precise_users.load(std::memory_order_relaxed) > 0;
}

void precise_clock(bool on)
{
    AcquireSRWLockExclusive(&startup_lock); // the system's switch has to follow the count
    int before = precise_users.fetch_add(on ? 1 : -1);
    ULONG actual;
    if (before == (on ? 0 : 1) && calls.set_timer_resolution != nullptr)
        calls.set_timer_resolution(precise_period_100ns, on ? TRUE : FALSE, &actual);
    ReleaseSRWLockExclusive(&startup_lock);
}

} // namespace sys
} // namespace iocp
