// The kernel's door: completion ports, cancellation, the AFD driver's polls.
#include <limits.h>

#include "compat/sys.h"
#include "compat/sys_error.h"
#include "compat/sys_nt.h"

namespace iocp {
namespace sys {

namespace {

constexpr ULONG ioctl_afd_poll = 0x00012024;
constexpr nt_status status_success = 0;
constexpr nt_status status_pending = 0x00000103;

// A wait is given in milliseconds; longer ones are cut, and the caller's loop waits again.
constexpr int64_t max_wait_ms = INT_MAX;

DWORD wait_ms(int64_t timeout_us)
{
    if (timeout_us < 0)
        return INFINITE;
    int64_t ms = timeout_us / 1000 + (timeout_us % 1000 != 0);
    return static_cast<DWORD>(ms < max_wait_ms ? ms : max_wait_ms);
}

// The call beneath GetQueuedCompletionStatusEx, whose time is in units of 100 ns instead of milliseconds. Its records
// are OVERLAPPED_ENTRYs under another name.
int dequeue_precisely(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG max, int64_t timeout_us, BOOL alertable,
                      ULONG *count)
{
    LARGE_INTEGER relative;
    relative.QuadPart = -timeout_us * 10;
    ULONG removed = 0;
    nt_status status =
        nt().remove_io_completion_ex(port, entries, max, &removed, &relative, static_cast<BOOLEAN>(alertable));
    *count = status == status_success ? removed : 0;
    return status_to_error(status); // not an error: time ran out, or the wait ended for a routine of the thread's
}

} // namespace

int port_create(HANDLE *port, DWORD max_threads)
{
    *port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, max_threads);
    return *port != nullptr ? 0 : last_win32_code();
}

int port_associate(HANDLE port, HANDLE file, ULONG_PTR key)
{
    return CreateIoCompletionPort(file, port, key, 0) != nullptr ? 0 : last_win32_code();
}

int port_post(HANDLE port, ULONG_PTR key, DWORD bytes, OVERLAPPED *overlapped)
{
    return PostQueuedCompletionStatus(port, bytes, key, overlapped) ? 0 : last_win32_code();
}

int port_dequeue(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG max, int64_t timeout_us, wait_kind kind, ULONG *count)
{
    BOOL alertable = kind == wait_kind::alertable;
    if (timeout_us > 0 && clock_is_precise() && nt().remove_io_completion_ex != nullptr)
        return dequeue_precisely(port, entries, max, timeout_us, alertable, count);
    ULONG removed = 0;
    if (GetQueuedCompletionStatusEx(port, entries, max, &removed, wait_ms(timeout_us), alertable)) {
        *count = removed;
        return 0;
    }
    // `removed` is not defined then.
    *count = 0;
    int error = last_win32_code();
    return error == WAIT_TIMEOUT || error == WAIT_IO_COMPLETION ? 0 : error;
}

int skip_packet_on_success(HANDLE file, handle_signal when)
{
    UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;
    if (when == handle_signal::never)
        modes |= FILE_SKIP_SET_EVENT_ON_HANDLE;
    return SetFileCompletionNotificationModes(file, modes) ? 0 : last_win32_code();
}

void close_handle(HANDLE handle)
{
    CloseHandle(handle);
}

int cancel(HANDLE file, OVERLAPPED *overlapped)
{
    DWORD before = GetLastError(); // of the program's last call: event_del is to leave it, whatever had ended already
    int error = CancelIoEx(file, overlapped) ? 0 : last_win32_code();
    SetLastError(before);
    return error;
}

int afd_open(HANDLE *afd)
{
    // Any name below the device opens a fresh AFD handle, which can poll every socket of the process.
    static wchar_t name[] = L"\\Device\\Afd\\libevent-iocp";
    unicode_string device = {sizeof(name) - sizeof(name[0]), sizeof(name), name};
    object_attributes attributes = {sizeof(attributes), nullptr, &device, 0, nullptr, nullptr};
    io_status_block status_block = {};
    nt_status status = nt().create_file(afd, SYNCHRONIZE, &attributes, &status_block, nullptr, 0,
                                        FILE_SHARE_READ | FILE_SHARE_WRITE, nt_file_open, 0, nullptr, 0);
    return status == status_success ? 0 : status_to_error(status);
}

start_result afd_poll(HANDLE afd, afd_poll_info *info, OVERLAPPED *overlapped)
{
    // One record serves both interfaces: OVERLAPPED begins with the two words of an IO_STATUS_BLOCK, and its address
    // comes back in the packet as the "APC context".
    auto *status_block = reinterpret_cast<io_status_block *>(overlapped);
    status_block->status = status_pending;
    nt_status status = nt().device_io_control_file(afd, nullptr, nullptr, overlapped, status_block, ioctl_afd_poll,
                                                   info, sizeof(*info), info, sizeof(*info));
    if (status == status_pending)
        return {started::pending, 0, 0};
    if (status == status_success)
        return {started::done, 0, 0};
    return {started::failed, status_to_error(status), 0};
}

} // namespace sys
} // namespace iocp
