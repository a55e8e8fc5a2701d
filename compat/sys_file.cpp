// The kernel's door: bytes by files that are read and written by overlapped calls: pipes, serial ports.
#include "compat/sys.h"
#include "compat/sys_error.h"
#include "compat/sys_nt.h"

namespace iocp {
namespace sys {

namespace {

start_result outcome(BOOL succeeded, const OVERLAPPED *overlapped, bool skips)
{
    if (succeeded)
        return {skips ? started::done : started::pending, 0, static_cast<DWORD>(overlapped->InternalHigh)};
    int error = last_win32_code();
    // A part of a message is a warning: the call says that it has failed, and a packet comes, with the bytes.
    if (error == ERROR_IO_PENDING || error == ERROR_MORE_DATA)
        return {started::pending, 0, 0};
    return {started::failed, is_shortage(error) ? WSAENOBUFS : error, 0};
}

// Opened without FILE_FLAG_OVERLAPPED: each operation on it would block its caller. CreateIoCompletionPort refuses these
// on Windows, says its documentation; Wine takes them.
bool is_synchronous(HANDLE file)
{
    constexpr ULONG mode_information = 16;
    constexpr ULONG alertable = 0x10, not_alertable = 0x20;
    ULONG mode = 0;
    io_status_block status_block = {};
    if (nt().query_information_file == nullptr ||
        nt().query_information_file(file, &status_block, &mode, sizeof(mode), mode_information) < 0)
        return false;
    return (mode & (alertable | not_alertable)) != 0;
}

bool is_socket(HANDLE file)
{
    int type;
    return socket_type(reinterpret_cast<SOCKET>(file), &type) == 0;
}

bool is_console(HANDLE file)
{
    DWORD mode;
    return GetConsoleMode(file, &mode) != FALSE;
}

int pipe_transport(HANDLE file, transport *by)
{
    DWORD flags = 0, state = 0;
    if (is_socket(file))
        return WSAESOCKTNOSUPPORT;
    if (is_synchronous(file))
        return ERROR_INVALID_PARAMETER;
    // A handle that may only write may not ask.
    if (!GetNamedPipeInfo(file, &flags, nullptr, nullptr, nullptr)) {
        if (last_win32_code() != ERROR_ACCESS_DENIED)
            return ERROR_NOT_SUPPORTED;
        flags = PIPE_TYPE_MESSAGE; // needs nothing of the other
    }
    if (GetNamedPipeHandleStateW(file, &state, nullptr, nullptr, nullptr, nullptr, 0) && (state & PIPE_NOWAIT) != 0)
        return ERROR_NOT_SUPPORTED;
    // Not by its mode of reading, which its program may change at any time.
    *by = (flags & PIPE_TYPE_MESSAGE) != 0 ? transport::messages : transport::pipe;
    return 0;
}

int device_transport(HANDLE file, transport *by)
{
    if (is_console(file))
        return ERROR_NOT_SUPPORTED;
    *by = transport::device;
    return is_synchronous(file) ? ERROR_INVALID_PARAMETER : 0;
}

} // namespace

int file_transport(HANDLE file, transport *by)
{
    SetLastError(NO_ERROR);
    switch (GetFileType(file)) {
    case FILE_TYPE_PIPE:
        return pipe_transport(file, by);
    case FILE_TYPE_CHAR:
        return device_transport(file, by);
    case FILE_TYPE_DISK:
        return ERROR_NOT_SUPPORTED;
    default:
        return GetLastError() != NO_ERROR ? last_win32_code() : ERROR_NOT_SUPPORTED;
    }
}

void file_wait_for_first_bytes(HANDLE device)
{
    COMMTIMEOUTS timeouts;
    if (!GetCommTimeouts(device, &timeouts))
        return; // some other device
    timeouts.ReadIntervalTimeout = MAXDWORD;
    timeouts.ReadTotalTimeoutMultiplier = MAXDWORD;
    timeouts.ReadTotalTimeoutConstant = MAXDWORD - 1;
    SetCommTimeouts(device, &timeouts);
}

start_result file_receive(HANDLE file, const WSABUF *buffer, OVERLAPPED *overlapped, bool skips)
{
    return outcome(ReadFile(file, buffer->buf, buffer->len, nullptr, overlapped), overlapped, skips);
}

start_result file_send(HANDLE file, const WSABUF *buffer, OVERLAPPED *overlapped, bool skips)
{
    return outcome(WriteFile(file, buffer->buf, buffer->len, nullptr, overlapped), overlapped, skips);
}

int file_close(HANDLE file)
{
    return CloseHandle(file) ? 0 : last_win32_code();
}

// The kernel reads for us, and says that it could not. (Wine 8 reads what nobody may, too.)
int view_read(const void *view, void *into, size_t length)
{
    SIZE_T copied = 0;
    if (ReadProcessMemory(GetCurrentProcess(), view, into, length, &copied) && copied == length)
        return 0;
    return is_want_of_memory(last_win32_code()) ? WSAENOBUFS : ERROR_NOACCESS;
}

} // namespace sys
} // namespace iocp
