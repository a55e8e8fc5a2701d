// Changes in directories: what a read of them ends with.
#include "probe.h"

#include <string.h>

namespace probe {

namespace {

constexpr DWORD room = 1024;

struct watched {
    std::wstring path;
    HANDLE directory;
    HANDLE port;
    OVERLAPPED reading;
    alignas(DWORD) unsigned char buffer[room];
};

void begin(watched *self)
{
    wchar_t temporary[MAX_PATH];
    GetTempPathW(MAX_PATH, temporary);
    self->path = temporary + (L"windows-probe-" + std::to_wstring(GetCurrentProcessId()));
    CreateDirectoryW(self->path.c_str(), nullptr);
    iocp::sys::directory_open(self->path.c_str(), &self->directory);
    iocp::sys::port_create(&self->port, 0);
    iocp::sys::port_associate(self->port, self->directory, 0);
}

bool read(watched *self)
{
    self->reading = {};
    return iocp::sys::directory_read(self->directory, self->buffer, room, false, &self->reading).how ==
           iocp::sys::started::pending;
}

void touch(const watched &self, const std::wstring &name)
{
    CloseHandle(CreateFileW((self.path + L"\\" + name).c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, 0, nullptr));
}

// "status 0000010c, 0 bytes".
std::string next(watched *self, int64_t wait_us)
{
    OVERLAPPED *of;
    nt_status status;
    if (!packet(self->port, wait_us, &of, &status))
        return "no packet";
    return text("status %08lx, %s", static_cast<unsigned long>(status), of->InternalHigh != 0 ? "bytes" : "no bytes");
}

void end(watched *self, bool open, const std::wstring &name = L"")
{
    if (open)
        CloseHandle(self->directory);
    CloseHandle(self->port);
    if (!name.empty())
        DeleteFileW((self->path + L"\\" + name).c_str());
    RemoveDirectoryW(self->path.c_str());
}

std::string entries()
{
    watched w;
    begin(&w);
    read(&w);
    touch(w, L"a");
    next(&w, soon_us);
    DWORD second;
    memcpy(&second, w.buffer, sizeof(second));
    end(&w, true, L"a");
    return second == 0 ? "one" : text("the second at %lu", second);
}

std::string overflow()
{
    constexpr int files = 200;
    watched w;
    begin(&w);
    read(&w);
    touch(w, L"first");
    next(&w, soon_us);
    for (int i = 0; i < files; ++i)
        touch(w, std::to_wstring(i));
    read(&w);
    std::string seen = next(&w, soon_us);
    for (int i = 0; i < files; ++i)
        DeleteFileW((w.path + L"\\" + std::to_wstring(i)).c_str());
    end(&w, true, L"first");
    return seen;
}

std::string kept_in_between()
{
    watched w;
    begin(&w);
    read(&w);
    touch(w, L"a");
    next(&w, soon_us);
    DeleteFileW((w.path + L"\\a").c_str());
    read(&w);
    std::string seen = next(&w, soon_us);
    end(&w, true);
    return seen;
}

std::string deleted()
{
    watched w;
    begin(&w);
    read(&w);
    RemoveDirectoryW(w.path.c_str());
    std::string seen = next(&w, soon_us);
    end(&w, true);
    return seen;
}

std::string closed(bool cancelled)
{
    watched w;
    begin(&w);
    read(&w);
    if (cancelled)
        iocp::sys::cancel(w.directory, &w.reading);
    CloseHandle(w.directory);
    std::string seen = next(&w, soon_us);
    end(&w, false);
    return seen;
}

std::string closed_at_once()
{
    return closed(false);
}

std::string cancelled_and_closed()
{
    return closed(true);
}

const question all[] = {
    {"directory.entries", "a file is made and closed: where the second entry of the buffer begins", nullptr,
     "directory_changes", entries},
    {"directory.kept", "a change between two reads", "status 00000000, bytes", "directory_watch", kept_in_between},
    {"directory.overflow", "more changes between two reads than the buffer holds", "status 0000010c, no bytes",
     "directory_watch", overflow},
    {"directory.deleted", "the directory itself is deleted while it is read", "status c0000056, no bytes",
     "directory_watch", deleted},
    {"directory.closed", "the handle is closed while it is read", "status 0000010b, no bytes", "directory_watch",
     closed_at_once},
    {"directory.cancelled", "the read is cancelled, and the handle closed at once", "status c0000120, no bytes",
     "directory_watch", cancelled_and_closed},
};

} // namespace

questions about_directories()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
