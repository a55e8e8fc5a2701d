// event2/iocp_directory.h: changes in a directory.
#include "own_parts.h"

namespace parity {

namespace {

constexpr int too_many_files = 400;

// Among the temporary files; gone when the test has ended.
struct folder {
    std::wstring path;
    std::string utf8;

    folder()
    {
        wchar_t temporary[MAX_PATH] = {};
        GetTempPathW(MAX_PATH, temporary);
        path = temporary + (L"libevent-iocp-guarantee-" + std::to_wstring(GetCurrentProcessId()));
        char text[4 * MAX_PATH] = {};
        WideCharToMultiByte(CP_UTF8, 0, path.c_str(), -1, text, sizeof(text), nullptr, nullptr);
        utf8 = text;
        CreateDirectoryW(path.c_str(), nullptr);
    }
    ~folder()
    {
        empty(path);
        RemoveDirectoryW(path.c_str());
    }
    std::wstring in(const std::wstring &name) const { return path + L"\\" + name; }
    static void empty(const std::wstring &path)
    {
        WIN32_FIND_DATAW found;
        HANDLE find = FindFirstFileW((path + L"\\*").c_str(), &found);
        if (find == INVALID_HANDLE_VALUE)
            return;
        do {
            std::wstring each = path + L"\\" + found.cFileName;
            if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0) {
                DeleteFileW(each.c_str());
            } else if (found.cFileName[0] != L'.') {
                empty(each);
                RemoveDirectoryW(each.c_str());
            }
        } while (FindNextFileW(find, &found));
        FindClose(find);
    }
};

struct seen {
    struct evdirwatch *watch;
    std::string told; // " +a", " -a", " *a", " <a", " >b"
    int calls;
    int what;
    bool inside_call, called_inside, frees;
};

void on_change(struct evdirwatch *watch, const struct evdirchange *changes, int count, int what, void *argument)
{
    auto *self = static_cast<seen *>(argument);
    for (int i = 0; i < count; ++i)
        self->told += std::string(" ") + "?+-*<>"[changes[i].action] + changes[i].path;
    ++self->calls;
    self->what |= what;
    self->called_inside = self->called_inside || self->inside_call;
    if (self->frees)
        evdirwatch_iocp_free(watch);
}

bool was_told(const seen &self, const std::string &changes)
{
    return (self.told + " ").find(" " + changes + " ") != std::string::npos;
}

bool comes(struct event_base *base, const seen &self, const std::string &changes)
{
    return happens(base, [&] { return was_told(self, changes); });
}

bool watches(struct event_base *base, seen *made, const std::string &path, int flags = 0)
{
    *made = {};
    made->inside_call = true;
    made->watch = evdirwatch_iocp_new(base, path.c_str(), flags, on_change, made);
    made->inside_call = false;
    REQUIRE(made->watch != nullptr);
    return true;
}

bool write_file(const std::wstring &path)
{
    HANDLE file = CreateFileW(path.c_str(), GENERIC_WRITE, FILE_SHARE_READ, nullptr, CREATE_ALWAYS, 0, nullptr);
    REQUIRE(file != INVALID_HANDLE_VALUE && write_by_hand(file, "text") && CloseHandle(file));
    return true;
}

bool directory_changes_are_told_in_order(struct event_base *base)
{
    folder f;
    seen s;
    REQUIRE(watches(base, &s, f.utf8));
    REQUIRE(write_file(f.in(L"a")));
    REQUIRE(MoveFileW(f.in(L"a").c_str(), f.in(L"\u00fc").c_str()));
    REQUIRE(DeleteFileW(f.in(L"\u00fc").c_str()));
    REQUIRE(comes(base, s, "-\xc3\xbc") && was_told(s, "+a") && was_told(s, "<a >\xc3\xbc"));
    REQUIRE(s.told.find("+a") < s.told.find("<a") && s.told.find(">\xc3\xbc") < s.told.find("-\xc3\xbc"));
    REQUIRE(write_file(f.in(L"b")) && comes(base, s, "+b"));
    s.told.clear();
    REQUIRE(write_file(f.in(L"b")) && comes(base, s, "*b"));
    REQUIRE(s.what == 0 && !s.called_inside);
    evdirwatch_iocp_free(s.watch);
    return true;
}

bool directory_within_is_told_if_asked_for(struct event_base *base)
{
    folder f;
    seen flat, deep;
    REQUIRE(watches(base, &flat, f.utf8) && watches(base, &deep, f.utf8 + "\\", EVDIRWATCH_RECURSIVE));
    REQUIRE(CreateDirectoryW(f.in(L"s").c_str(), nullptr) && comes(base, deep, "+s")); // Wine sees into it from then on
    REQUIRE(write_file(f.in(L"s\\f")) && comes(base, deep, "+s\\f"));
    // Out of what the one watches, and into it.
    REQUIRE(MoveFileW(f.in(L"s\\f").c_str(), f.in(L"g").c_str()));
    REQUIRE(comes(base, deep, "<s\\f >g") && comes(base, flat, "+g"));
    REQUIRE(flat.told.find("s\\f") == std::string::npos);
    evdirwatch_iocp_free(flat.watch);
    evdirwatch_iocp_free(deep.watch);
    return true;
}

bool directory_too_many_changes_are_told_of(struct event_base *base)
{
    folder f;
    seen s;
    REQUIRE(watches(base, &s, f.utf8));
    for (int i = 0; i < too_many_files; ++i)
        REQUIRE(write_file(f.in(std::wstring(100, L'x') + std::to_wstring(i))));
    REQUIRE(happens(base, [&] { return s.what == EVDIRWATCH_OVERFLOW; }));
    REQUIRE(write_file(f.in(L"after")) && comes(base, s, "+after"));
    REQUIRE(s.what == EVDIRWATCH_OVERFLOW);
    evdirwatch_iocp_free(s.watch);
    return true;
}

bool directory_watch_keeps_nobody_from_deleting_it(struct event_base *base)
{
    folder f;
    seen s;
    std::wstring doomed = f.in(L"doomed");
    REQUIRE(CreateDirectoryW(doomed.c_str(), nullptr) && watches(base, &s, f.utf8 + "/doomed"));
    REQUIRE(RemoveDirectoryW(doomed.c_str()));
    some_turns(base); // Wine tells of it nowhere
    REQUIRE((s.what & ~EVDIRWATCH_DELETED) == 0);
    evdirwatch_iocp_free(s.watch);
    REQUIRE(CreateDirectoryW(doomed.c_str(), nullptr));
    return true;
}

bool directory_watch_freed_in_its_own_callback(struct event_base *)
{
    folder f;
    return leaves_nothing([&](struct event_base *base) {
        seen s;
        REQUIRE(watches(base, &s, f.utf8));
        s.frees = true;
        REQUIRE(write_file(f.in(L"a")));
        REQUIRE(event_base_dispatch(base) == 1); // which it has kept until then
        REQUIRE(DeleteFileW(f.in(L"a").c_str()));
        some_turns(base);
        REQUIRE(s.calls == 1);
        return true;
    });
}

bool directory_no_callback_after_free(struct event_base *)
{
    folder f;
    return leaves_nothing([&](struct event_base *base) {
        seen s;
        unsigned long handles = accounting::open_handles();
        REQUIRE(watches(base, &s, f.utf8));
        REQUIRE(write_file(f.in(L"a")) && accounting::open_handles() > handles);
        evdirwatch_iocp_free(s.watch);
        some_turns(base);
        REQUIRE(s.calls == 0);
        return true;
    });
}

bool directory_watch_is_freed_after_its_base(struct event_base *)
{
    folder f;
    return leaves_nothing([&](struct event_base *) {
        seen s;
        struct event_base *own = new_base();
        REQUIRE(own != nullptr && watches(own, &s, f.utf8));
        turn(own);
        event_base_free(own);
        evdirwatch_iocp_free(s.watch);
        REQUIRE(s.calls == 0);
        return true;
    });
}

int error_of_watch(struct event_base *base, const std::string &path, int flags, evdirwatch_cb cb)
{
    return error_of([&] { return evdirwatch_iocp_new(base, path.c_str(), flags, cb, nullptr) != nullptr; });
}

bool directory_refusals(struct event_base *base)
{
    folder f;
    REQUIRE(write_file(f.in(L"file")));
    unsigned long handles = accounting::open_handles();
    REQUIRE(refused_off_the_port([&](struct event_base *on) {
        return evdirwatch_iocp_new(on, f.utf8.c_str(), 0, on_change, nullptr) != nullptr;
    }));
    REQUIRE(error_of([&] { return evdirwatch_iocp_new(base, nullptr, 0, on_change, nullptr) != nullptr; }) ==
            WSAEINVAL);
    REQUIRE(error_of_watch(base, f.utf8, 0, nullptr) == WSAEINVAL);
    REQUIRE(error_of_watch(base, f.utf8, 0x80, on_change) == WSAEINVAL);
    REQUIRE(error_of_watch(base, f.utf8 + "\\\xff", 0, on_change) == ERROR_NO_UNICODE_TRANSLATION);
    REQUIRE(error_of_watch(base, f.utf8 + "\\file", 0, on_change) == ERROR_DIRECTORY);
    int error = error_of_watch(base, f.utf8 + "\\none", 0, on_change);
    REQUIRE(error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND);
    error = error_of_watch(base, "", 0, on_change);
    REQUIRE(error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND);
    evdirwatch_iocp_free(nullptr);
    REQUIRE(accounting::open_handles() <= handles);
    return true;
}

} // namespace

const guarantee directory_guarantees[] = {
    {"directory_changes_are_told_in_order", directory_changes_are_told_in_order},
    {"directory_within_is_told_if_asked_for", directory_within_is_told_if_asked_for},
    {"directory_too_many_changes_are_told_of", directory_too_many_changes_are_told_of},
    {"directory_watch_keeps_nobody_from_deleting_it", directory_watch_keeps_nobody_from_deleting_it},
    {"directory_watch_freed_in_its_own_callback", directory_watch_freed_in_its_own_callback},
    {"directory_no_callback_after_free", directory_no_callback_after_free},
    {"directory_watch_is_freed_after_its_base", directory_watch_is_freed_after_its_base},
    {"directory_refusals", directory_refusals},
    {nullptr, nullptr},
};

} // namespace parity
