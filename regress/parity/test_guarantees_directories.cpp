// event2/iocp_directory.h: what changes in a directory is told by the loop.
#include "handles.h"

#include <vector>

namespace parity {

namespace {

std::wstring wide(const std::string &narrow)
{
    wchar_t text[MAX_PATH];
    int length = MultiByteToWideChar(CP_UTF8, 0, narrow.c_str(), -1, text, MAX_PATH);
    return length > 0 ? std::wstring(text) : std::wstring();
}

struct directory {
    std::string path; // ends in a separator
    struct evdirwatch *watch;
    std::vector<std::string> told; // "1 name": an action and whose it is
    int calls;
    bool frees;
};

void note_changes(struct evdirwatch *watch, const struct evdirchange *changes, int count, int, void *argument)
{
    auto *self = static_cast<directory *>(argument);
    ++self->calls;
    for (int i = 0; i < count; ++i)
        self->told.push_back(std::to_string(changes[i].action) + " " + changes[i].path);
    if (self->frees)
        evdirwatch_iocp_free(watch);
}

bool open_directory(struct event_base *base, directory *into)
{
    char folder[MAX_PATH];
    static int number;
    GetTempPathA(MAX_PATH, folder);
    *into = {};
    into->path = std::string(folder) + "guarantees-" + std::to_string(GetCurrentProcessId()) + "-" +
                 std::to_string(++number) + "\\";
    if (!CreateDirectoryA(into->path.c_str(), nullptr))
        return false;
    into->watch = evdirwatch_iocp_new(base, into->path.c_str(), 0, note_changes, into);
    return into->watch != nullptr;
}

bool write_file(const directory &in, const std::string &name)
{
    HANDLE file = CreateFileW(wide(in.path + name).c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS,
                              FILE_ATTRIBUTE_NORMAL, nullptr);
    DWORD written;
    return file != INVALID_HANDLE_VALUE && WriteFile(file, "x", 1, &written, nullptr) && CloseHandle(file);
}

bool remove_file(const directory &in, const std::string &name)
{
    return DeleteFileW(wide(in.path + name).c_str()) != FALSE;
}

// Where in what was told it is, or -1.
int position_of(const directory &of, int action, const std::string &name)
{
    for (size_t i = 0; i < of.told.size(); ++i)
        if (of.told[i] == std::to_string(action) + " " + name)
            return static_cast<int>(i);
    return -1;
}

void close_directory(directory *of)
{
    if (of->watch != nullptr)
        evdirwatch_iocp_free(of->watch);
    RemoveDirectoryA(of->path.c_str());
}

bool what_is_made_and_deleted_is_told_in_utf_8(struct event_base *base)
{
    const std::string name = "f\xc3\xbc\xe4\xb8\xad";
    directory in;
    REQUIRE(open_directory(base, &in) && write_file(in, name));
    REQUIRE(run_until(base, [&] { return position_of(in, EVDIRCHANGE_ADDED, name) >= 0; }));
    REQUIRE(remove_file(in, name));
    REQUIRE(run_until(base, [&] { return position_of(in, EVDIRCHANGE_REMOVED, name) >= 0; }));
    close_directory(&in);
    return true;
}

bool a_rename_is_told_as_a_pair(struct event_base *base)
{
    directory in;
    REQUIRE(open_directory(base, &in) && write_file(in, "one"));
    REQUIRE(MoveFileA((in.path + "one").c_str(), (in.path + "two").c_str()));
    REQUIRE(run_until(base, [&] { return position_of(in, EVDIRCHANGE_RENAMED_NEW, "two") >= 0; }));
    int from = position_of(in, EVDIRCHANGE_RENAMED_OLD, "one");
    REQUIRE(from >= 0 && position_of(in, EVDIRCHANGE_RENAMED_NEW, "two") == from + 1);
    REQUIRE(remove_file(in, "two"));
    close_directory(&in);
    return true;
}

bool may_be_freed_in_its_callback(struct event_base *base)
{
    directory in;
    REQUIRE(open_directory(base, &in));
    in.frees = true;
    REQUIRE(write_file(in, "one"));
    REQUIRE(run_until(base, [&] { return in.calls == 1; }));
    in.watch = nullptr;
    REQUIRE(write_file(in, "two"));
    some_turns(base);
    REQUIRE(in.calls == 1 && remove_file(in, "one") && remove_file(in, "two"));
    close_directory(&in);
    return true;
}

bool freed_it_tells_nothing_and_leaves_nothing(struct event_base *base)
{
    DWORD before = 0;
    for (int i = 0; i < 20; ++i) {
        directory in;
        REQUIRE(open_directory(base, &in) && write_file(in, "one")); // what is told of it is on the way
        evdirwatch_iocp_free(in.watch);
        in.watch = nullptr;
        some_turns(base);
        REQUIRE(in.calls == 0 && remove_file(in, "one"));
        close_directory(&in);
        if (i == 9)
            before = handles_open();
    }
    REQUIRE(run_until(base, [&] { return handles_open() <= before; }));
    return true;
}

bool what_cannot_be_watched_is_refused(struct event_base *base)
{
    directory in;
    REQUIRE(open_directory(base, &in) && write_file(in, "file"));
    auto refuses = [](struct event_base *on, const std::string &path, int error) {
        return is_refused(evdirwatch_iocp_new(on, path.c_str(), 0, note_changes, nullptr), error);
    };
    REQUIRE(refuses(base, in.path + "none", ERROR_FILE_NOT_FOUND));
    REQUIRE(refuses(base, in.path + "file", ERROR_DIRECTORY));
    REQUIRE(refuses(base, "\xff", ERROR_NO_UNICODE_TRANSLATION));
    REQUIRE(is_refused(evdirwatch_iocp_new(base, nullptr, 0, note_changes, nullptr), WSAEINVAL));
    REQUIRE(is_refused(evdirwatch_iocp_new(base, in.path.c_str(), 0, nullptr, nullptr), WSAEINVAL));
    struct event_base *other = select_base();
    REQUIRE(refuses(other, in.path, WSAEOPNOTSUPP) && refuses(nullptr, in.path, WSAEOPNOTSUPP));
    event_base_free(other);
    REQUIRE(remove_file(in, "file"));
    close_directory(&in);
    return true;
}

} // namespace

const guarantee directory_guarantees[] = {
    {"directory_what_is_made_and_deleted_is_told_in_utf_8", what_is_made_and_deleted_is_told_in_utf_8},
    {"directory_a_rename_is_told_as_a_pair", a_rename_is_told_as_a_pair},
    {"directory_may_be_freed_in_its_callback", may_be_freed_in_its_callback},
    {"directory_freed_it_tells_nothing_and_leaves_nothing", freed_it_tells_nothing_and_leaves_nothing},
    {"directory_what_cannot_be_watched_is_refused", what_cannot_be_watched_is_refused},
    {nullptr, nullptr},
};

} // namespace parity
