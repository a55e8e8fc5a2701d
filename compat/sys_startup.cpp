// The kernel's door: process start-up, the NT import list.
#include "compat/sys.h"
#include "compat/sys_error.h"
#include "compat/sys_nt.h"
#include "compat/sys_winsock.h"

#include <string.h>

#include <atomic>

namespace iocp {
namespace sys {

namespace {

nt_calls calls;
SRWLOCK startup_lock = SRWLOCK_INIT;
std::atomic<int> precise_users{0};

int startups = 0;

constexpr UINT precise_period_ms = 1;

using period_call = UINT(WINAPI *)(UINT);
struct period_calls {
    period_call begin, end; // NULL: there are none
};

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
    find(ntdll, "NtSetInformationFile", &calls.set_information_file);
    find(ntdll, "NtQueryInformationFile", &calls.query_information_file);
    find(ntdll, "NtQueryObject", &calls.query_object);
    if (!find(ntdll, "NtAssociateWaitCompletionPacket", &calls.associate_wait_packet) ||
        !find(ntdll, "NtCancelWaitCompletionPacket", &calls.cancel_wait_packet) ||
        !find(ntdll, "NtCreateWaitCompletionPacket", &calls.create_wait_packet))
        calls.create_wait_packet = nullptr;
    return found ? 0 : ERROR_PROC_NOT_FOUND;
}

// Windows has one such period for the process, and no count: winmm.dll counts who asks for one, the program's other parts
// included. It is loaded for the first who does, and by its path, since it might be found elsewhere.
period_calls find_period_calls()
{
    static std::atomic<HMODULE> known{nullptr};
    HMODULE winmm = known;
    if (winmm == nullptr) {
        const wchar_t name[] = L"\\winmm.dll";
        wchar_t path[MAX_PATH];
        UINT length = GetSystemDirectoryW(path, MAX_PATH);
        if (length == 0 || length + sizeof(name) / sizeof(name[0]) > MAX_PATH)
            return {nullptr, nullptr};
        memcpy(path + length, name, sizeof(name));
        known = winmm = LoadLibraryW(path);
    }
    period_calls found = {nullptr, nullptr};
    if (winmm == nullptr || !find(winmm, "timeBeginPeriod", &found.begin) || !find(winmm, "timeEndPeriod", &found.end))
        return {nullptr, nullptr};
    return found;
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
    startups += error == 0 ? 1 : 0;
    ReleaseSRWLockExclusive(&startup_lock);
    if (error != 0)
        WSACleanup();
    return error;
}

void cleanup()
{
    AcquireSRWLockExclusive(&startup_lock);
    if (--startups == 0)
        forget_extensions();
    ReleaseSRWLockExclusive(&startup_lock);
    WSACleanup();
}

bool clock_is_precise()
{
    return precise_users.load(std::memory_order_relaxed) > 0;
}

void precise_clock(bool on)
{
    period_calls found = find_period_calls();
    AcquireSRWLockExclusive(&startup_lock); // the system's switch has to follow the count
    int before = precise_users.fetch_add(on ? 1 : -1);
    if (before == (on ? 0 : 1) && found.begin != nullptr)
        (on ? found.begin : found.end)(precise_period_ms);
    ReleaseSRWLockExclusive(&startup_lock);
}

} // namespace sys
} // namespace iocp
