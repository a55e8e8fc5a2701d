// The kernel's door: changes in directories.
#include <stdlib.h>
#include <string.h>

#include "compat/sys.h"
#include "compat/sys_error.h"

namespace iocp {
namespace sys {

namespace {

// No request that a reader would make of a file is among them: FILE_NOTIFY_CHANGE_LAST_ACCESS is of who looks at what
// has changed.
constexpr DWORD watched_changes = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME |
                                  FILE_NOTIFY_CHANGE_ATTRIBUTES | FILE_NOTIFY_CHANGE_SIZE |
                                  FILE_NOTIFY_CHANGE_LAST_WRITE | FILE_NOTIFY_CHANGE_CREATION;

constexpr nt_status status_notify_enum_dir = 0x0000010C;
constexpr nt_status status_delete_pending = static_cast<nt_status>(0xC0000056);

nt_status status_of(const OVERLAPPED *ended)
{
    return static_cast<nt_status>(ended->Internal);
}

// Of what the last call complains.
int directory_error()
{
    int error = last_win32_code();
    return winsock_code(error) == WSAENOBUFS ? WSAENOBUFS : error;
}

constexpr wchar_t plain_prefix[] = L"\\\\?\\";
constexpr wchar_t share_prefix[] = L"\\\\?\\UNC";
constexpr size_t share_prefix_length = sizeof(share_prefix) / sizeof(share_prefix[0]) - 1;

bool begins_with(const wchar_t *text, const wchar_t *with)
{
    return wcsncmp(text, with, wcslen(with)) == 0;
}

// The whole path in the form that MAX_PATH does not hold for: `full` has room for the prefix before `path`, which is
// absolute. A device's (\\.\) has no such form.
const wchar_t *without_limit(wchar_t *full, const wchar_t *path)
{
    if (begins_with(path, L"\\\\.\\") || begins_with(path, plain_prefix))
        return path;
    bool is_share = begins_with(path, L"\\\\");
    const wchar_t *prefix = is_share ? share_prefix : plain_prefix;
    const wchar_t *rest = is_share ? path + 1 : path; // \\server\share: \\?\UNC\server\share
    size_t length = wcslen(prefix);
    memmove(full + length, rest, (wcslen(rest) + 1) * sizeof(wchar_t));
    memcpy(full, prefix, length * sizeof(wchar_t));
    return full;
}

int open_whole_path(const wchar_t *path, HANDLE *directory)
{
    *directory = CreateFileW(path, FILE_LIST_DIRECTORY, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                             OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, nullptr);
    if (*directory == INVALID_HANDLE_VALUE)
        return directory_error();
    // The right to list a directory is that to read a file.
    BY_HANDLE_FILE_INFORMATION information;
    int error = 0;
    if (!GetFileInformationByHandle(*directory, &information))
        error = directory_error();
    else if ((information.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0)
        error = ERROR_DIRECTORY;
    if (error != 0)
        CloseHandle(*directory);
    return error;
}

} // namespace

int directory_open(const wchar_t *path, HANDLE *directory)
{
    if (begins_with(path, plain_prefix))
        return open_whole_path(path, directory);
    DWORD room = GetFullPathNameW(path, 0, nullptr, nullptr);
    if (room == 0)
        return directory_error();
    auto *full = static_cast<wchar_t *>(malloc((share_prefix_length + room) * sizeof(wchar_t)));
    if (full == nullptr)
        return WSAENOBUFS;
    wchar_t *whole = full + share_prefix_length;
    DWORD length = GetFullPathNameW(path, room, whole, nullptr);
    int error;
    if (length == 0)
        error = directory_error();
    else if (length >= room) // another thread has changed the current directory
        error = ERROR_PATH_NOT_FOUND;
    else
        error = open_whole_path(without_limit(full, whole), directory);
    free(full);
    return error;
}

start_result directory_read(HANDLE directory, void *buffer, DWORD size, bool recursive, OVERLAPPED *overlapped)
{
    if (ReadDirectoryChangesW(directory, buffer, size, recursive, watched_changes, nullptr, overlapped, nullptr))
        return {started::pending, 0, 0};
    return {started::failed, directory_error(), 0};
}

bool directory_has_lost(const OVERLAPPED *ended)
{
    // The status is a success, and the documented sign of it that there are no bytes.
    return status_of(ended) == status_notify_enum_dir || ended->InternalHigh == 0;
}

bool directory_is_deleted(HANDLE directory, const OVERLAPPED *ended)
{
    if (status_of(ended) == status_delete_pending) // ERROR_ACCESS_DENIED, as much else
        return true;
    FILE_STANDARD_INFO information;
    return GetFileInformationByHandleEx(directory, FileStandardInfo, &information, sizeof(information)) &&
           (information.DeletePending || information.NumberOfLinks == 0);
}

} // namespace sys
} // namespace iocp
