#include "real/kernel_directories.h"

#include "real/folder.h"
#include "real/real_base.h"

namespace real {

namespace {

// One read of the kernel's own, which has begun.
struct kernel_read {
    HANDLE directory;
    OVERLAPPED overlapped;
    DWORD buffer[1024];
};

void start_read(kernel_read *self)
{
    ResetEvent(self->overlapped.hEvent);
    assert_true(ReadDirectoryChangesW(self->directory, self->buffer, sizeof(self->buffer), TRUE,
                                      FILE_NOTIFY_CHANGE_FILE_NAME, nullptr, &self->overlapped, nullptr));
}

void open_read(kernel_read *self, const std::wstring &path)
{
    *self = {};
    self->overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    self->directory =
        CreateFileW(path.c_str(), FILE_LIST_DIRECTORY, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                    OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, nullptr);
    assert_true(self->directory != INVALID_HANDLE_VALUE);
    start_read(self);
}

void close_read(kernel_read *self)
{
    DWORD bytes;
    CancelIoEx(self->directory, &self->overlapped);
    GetOverlappedResult(self->directory, &self->overlapped, &bytes, TRUE);
    CloseHandle(self->directory);
    CloseHandle(self->overlapped.hEvent);
}

std::wstring next_name(kernel_read *self)
{
    DWORD bytes = 0;
    assert_int_equal(WaitForSingleObject(self->overlapped.hEvent, deadline_seconds * 1000), WAIT_OBJECT_0);
    assert_true(GetOverlappedResult(self->directory, &self->overlapped, &bytes, FALSE) && bytes != 0);
    auto *first = reinterpret_cast<FILE_NOTIFY_INFORMATION *>(self->buffer);
    return {first->FileName, first->FileNameLength / sizeof(wchar_t)};
}

} // namespace

bool kernel_sees_into(const std::wstring &older)
{
    kernel_read read;
    open_read(&read, folder);
    write_file(in_folder(older + L"\\first"));
    write_file(in_folder(L"second"));
    bool sees = next_name(&read) == older + L"\\first";
    close_read(&read);
    return sees;
}

bool kernel_tells_of_deletion(const std::wstring &doomed)
{
    kernel_read read;
    assert_true(CreateDirectoryW(doomed.c_str(), nullptr));
    open_read(&read, doomed);
    assert_true(RemoveDirectoryW(doomed.c_str()));
    bool tells = WaitForSingleObject(read.overlapped.hEvent, 500) == WAIT_OBJECT_0;
    close_read(&read);
    return tells;
}

} // namespace real
