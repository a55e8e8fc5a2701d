// Watches of real directories, in one of their own among the temporary files.
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "../../real/accounting.h"
#include "real/folder.h"
#include "real/kernel_directories.h"
#include "real/real_base.h"

#include "event2/iocp.h"

using namespace real;

namespace {

constexpr int many_watches = 100;
constexpr int many_files = 2000;
constexpr int thread_rounds = 150;

struct seen {
    struct evdirwatch *watch;
    std::vector<std::string> told; // "+a", "-a", "*a", "a>b"
    int overflows, ends, error, calls;
    bool frees_itself;
};

void called(struct evdirwatch *watch, const struct evdirchange *changes, int count, int what, void *argument)
{
    int error = EVUTIL_SOCKET_ERROR();
    auto *self = static_cast<seen *>(argument);
    static const char signs[] = {' ', '+', '-', '*'};
    for (int i = 0; i < count; ++i)
        if (changes[i].action == EVDIRCHANGE_RENAMED_OLD) {
            self->told.push_back(std::string(changes[i].path) + ">" + changes[i + 1].path);
            ++i;
        } else {
            self->told.push_back(signs[changes[i].action] + std::string(changes[i].path));
        }
    ++self->calls;
    self->overflows += (what & EVDIRWATCH_OVERFLOW) != 0;
    if ((what & (EVDIRWATCH_DELETED | EVDIRWATCH_ERROR)) != 0) {
        ++self->ends;
        self->error = error;
    }
    if (self->frees_itself)
        evdirwatch_iocp_free(watch);
}

int set_up_folder(void **state)
{
    make_folder();
    return set_up(state);
}

int tear_down_folder(void **state)
{
    if (base != nullptr)
        tear_down(state);
    remove_folder();
    return 0;
}

bool watch(seen *self, const std::wstring &path, int flags = 0)
{
    *self = {};
    self->watch = evdirwatch_iocp_new(base, utf8(path).c_str(), flags, called, self);
    return self->watch != nullptr;
}

// The loop runs until that holds. False: the deadline came first.
bool loop_until(const std::function<bool()> &holds)
{
    struct event *deadline = evtimer_new(base, out_of_time, nullptr);
    struct timeval limit = {deadline_seconds, 0};
    event_add(deadline, &limit);
    while (!holds() && evtimer_pending(deadline, nullptr) != 0)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(deadline);
    return holds();
}

bool was_told(const seen &self, const std::string &what)
{
    for (const std::string &one : self.told)
        if (one == what)
            return true;
    return false;
}

bool comes(const seen *self, const std::string &what)
{
    return loop_until([self, &what]() { return was_told(*self, what); });
}

void files_are_told(void **)
{
    seen s;
    assert_true(watch(&s, folder));
    write_file(in_folder(L"a"));
    assert_true(comes(&s, "+a"));
    assert_true(comes(&s, "*a"));
    assert_true(MoveFileW(in_folder(L"a").c_str(), in_folder(L"b").c_str()));
    assert_true(comes(&s, "a>b"));
    s.told.clear();
    write_file(in_folder(L"b"));
    assert_true(comes(&s, "*b"));
    assert_true(DeleteFileW(in_folder(L"b").c_str()));
    assert_true(comes(&s, "-b"));
    const std::wstring name = L"\u00fc\u4e2d\xd83d\xde00";
    write_file(in_folder(name));
    assert_true(comes(&s, "+" + utf8(name)));
    assert_int_equal(s.overflows, 0);
    evdirwatch_iocp_free(s.watch);
    // The next directory has that name itself, and its path ends in a separator.
    assert_true(CreateDirectoryW(in_folder(name + L"2").c_str(), nullptr));
    assert_true(watch(&s, in_folder(name + L"2") + L"/"));
    write_file(in_folder(name + L"2\\x"));
    assert_true(comes(&s, "+x"));
    evdirwatch_iocp_free(s.watch);
}

void directories_within_are_told_if_asked_for(void **)
{
    seen s;
    assert_true(watch(&s, folder, EVDIRWATCH_RECURSIVE));
    assert_true(CreateDirectoryW(in_folder(L"s").c_str(), nullptr));
    assert_true(comes(&s, "+s"));
    write_file(in_folder(L"s\\f"));
    assert_true(comes(&s, "+s\\f"));
    assert_true(MoveFileW(in_folder(L"s\\f").c_str(), in_folder(L"g").c_str()));
    assert_true(comes(&s, "s\\f>g"));
    evdirwatch_iocp_free(s.watch);
    assert_true(watch(&s, folder));
    write_file(in_folder(L"s\\f"));
    assert_true(MoveFileW(in_folder(L"s\\f").c_str(), in_folder(L"h").c_str()));
    assert_true(comes(&s, "+h")); // which came from outside
    assert_false(was_told(s, "+s\\f"));
    evdirwatch_iocp_free(s.watch);
}

void older_directories_within_are_told(void **)
{
    assert_true(CreateDirectoryW(in_folder(L"before").c_str(), nullptr));
    if (!kernel_sees_into(L"before"))
        skip();
    seen s;
    assert_true(watch(&s, folder, EVDIRWATCH_RECURSIVE));
    write_file(in_folder(L"before\\f"));
    assert_true(comes(&s, "+before\\f"));
    evdirwatch_iocp_free(s.watch);
}

void too_many_are_overflow(void **)
{
    seen s;
    assert_true(watch(&s, folder));
    for (int i = 0; i < many_files; ++i)
        write_file(in_folder(L"a long name, so that few of them are enough " + std::to_wstring(i)));
    assert_true(loop_until([&s]() { return s.overflows > 0; }));
    write_file(in_folder(L"after")); // it goes on
    assert_true(comes(&s, "+after"));
    assert_int_equal(s.ends, 0);
    evdirwatch_iocp_free(s.watch);
}

void the_directory_itself_is_deleted(void **)
{
    seen s;
    std::wstring doomed = in_folder(L"doomed");
    if (!kernel_tells_of_deletion(doomed))
        skip();
    assert_true(CreateDirectoryW(doomed.c_str(), nullptr));
    assert_true(watch(&s, doomed));
    assert_true(RemoveDirectoryW(doomed.c_str()));
    assert_true(loop_until([&s]() { return s.ends == 1; }));
    assert_true(s.error != 0);
    evdirwatch_iocp_free(s.watch);
}

void the_name_of_a_deleted_directory_is_free_at_once(void **)
{
    seen s;
    std::wstring doomed = in_folder(L"doomed");
    assert_true(CreateDirectoryW(doomed.c_str(), nullptr));
    assert_true(watch(&s, doomed));
    assert_true(RemoveDirectoryW(doomed.c_str()));
    evdirwatch_iocp_free(s.watch);
    assert_true(CreateDirectoryW(doomed.c_str(), nullptr));
}

void freed_in_its_callback(void **)
{
    seen s;
    assert_true(watch(&s, folder));
    s.frees_itself = true;
    write_file(in_folder(L"a"));
    assert_int_equal(event_base_dispatch(base), 1); // it has kept the loop until then
    assert_int_equal(s.calls, 1);
    write_file(in_folder(L"b"));
    look();
    assert_int_equal(s.calls, 1);
}

void many_leave_no_handle(void **state)
{
    static seen all[many_watches];
    for (int round = 0; round < 2; ++round) { // what is opened once and kept is, in the first
        unsigned long before = accounting::open_handles();
        for (int i = 0; i < many_watches; ++i) {
            std::wstring path = in_folder(std::to_wstring(round) + L"-" + std::to_wstring(i));
            assert_true(CreateDirectoryW(path.c_str(), nullptr));
            assert_true(watch(&all[i], path));
        }
        assert_true(accounting::open_handles() >= before + many_watches);
        for (int i = 0; i < many_watches; ++i)
            write_file(in_folder(std::to_wstring(round) + L"-" + std::to_wstring(i) + L"\\f"));
        for (seen &one : all)
            assert_true(comes(&one, "+f"));
        for (seen &one : all)
            evdirwatch_iocp_free(one.watch);
        if (round == 1)
            assert_int_equal(accounting::open_handles(), before);
    }
    seen last; // is freed after its base
    unsigned long before = accounting::open_handles();
    assert_true(watch(&last, folder));
    tear_down(state);
    base = nullptr;
    assert_true(accounting::open_handles() < before);
    evdirwatch_iocp_free(last.watch);
}

void long_paths(void **)
{
    seen s;
    std::wstring path = folder;
    for (int i = 0; i < 4; ++i) {
        path += L"\\" + std::wstring(100, static_cast<wchar_t>(L'a' + i));
        assert_true(CreateDirectoryW((L"\\\\?\\" + path).c_str(), nullptr));
    }
    assert_true(path.size() > MAX_PATH);
    assert_true(watch(&s, path));
    write_file(L"\\\\?\\" + path + L"\\f");
    assert_true(comes(&s, "+f"));
    evdirwatch_iocp_free(s.watch);
    assert_true(watch(&s, L"\\\\?\\" + path));
    evdirwatch_iocp_free(s.watch);
    assert_true(watch(&s, path + L"\\..")); // which that form would take for a name
    evdirwatch_iocp_free(s.watch);
}

void refuses(const std::string &path, int error, int or_error)
{
    unsigned long before = accounting::open_handles();
    WSASetLastError(0);
    assert_null(evdirwatch_iocp_new(base, path.c_str(), 0, called, nullptr));
    assert_true(EVUTIL_SOCKET_ERROR() == error || EVUTIL_SOCKET_ERROR() == or_error);
    assert_int_equal(accounting::open_handles(), before);
}

void what_cannot_be_watched_is_refused(void **)
{
    write_file(in_folder(L"file"));
    refuses(utf8(in_folder(L"not there")), ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND);
    refuses(utf8(in_folder(L"not\\there")), ERROR_PATH_NOT_FOUND, ERROR_PATH_NOT_FOUND);
    refuses(utf8(in_folder(L"file")), ERROR_DIRECTORY, ERROR_DIRECTORY);
    refuses(utf8(folder) + "\\\xff", ERROR_NO_UNICODE_TRANSLATION, ERROR_NO_UNICODE_TRANSLATION);
    refuses("", ERROR_PATH_NOT_FOUND, ERROR_PATH_NOT_FOUND);
    struct event_base *on_port = base;
    struct event_config *config = event_config_new();
    event_config_avoid_method(config, "iocp");
    base = event_base_new_with_config(config);
    event_config_free(config);
    refuses(utf8(folder), WSAEOPNOTSUPP, WSAEOPNOTSUPP);
    event_base_free(base);
    base = on_port;
}

// --- freed while the loop runs in another thread ----------------------------------------------------------------------
struct owned {
    std::atomic<bool> freed;
    std::atomic<int> calls;
    std::atomic<int> late_calls;
};

void note_call(struct evdirwatch *, const struct evdirchange *, int, int, void *argument)
{
    auto *self = static_cast<owned *>(argument);
    ++self->calls;
    SwitchToThread(); // now and then the other thread frees in here
    if (self->freed)
        ++self->late_calls;
}

DWORD WINAPI run_base(void *)
{
    return event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY) == 0 ? 0 : 1;
}

void another_thread_frees(void **)
{
    HANDLE thread = CreateThread(nullptr, 0, run_base, nullptr, 0, nullptr);
    static owned all[thread_rounds];
    std::string path = utf8(folder);
    int calls = 0;
    for (owned &one : all) {
        struct evdirwatch *watch = evdirwatch_iocp_new(base, path.c_str(), 0, note_call, &one);
        assert_non_null(watch);
        ULONGLONG until = GetTickCount64() + deadline_seconds * 1000;
        write_file(in_folder(L"f"));
        if ((&one - all) % 2 == 0) // the others are freed at any moment
            while (one.calls == 0 && GetTickCount64() < until)
                write_file(in_folder(L"f"));
        evdirwatch_iocp_free(watch);
        one.freed = true;
        calls += one.calls;
    }
    event_base_loopbreak(base);
    assert_int_equal(WaitForSingleObject(thread, deadline_seconds * 1000), WAIT_OBJECT_0);
    CloseHandle(thread);
    assert_true(calls >= thread_rounds / 2);
    for (owned &one : all)
        assert_int_equal(one.late_calls, 0);
}

} // namespace

#define ONE(test) cmocka_unit_test_setup_teardown(test, set_up_folder, tear_down_folder)

int main()
{
    start();
    evthread_use_windows_threads();
    const struct CMUnitTest tests[] = {
        ONE(files_are_told),
        ONE(directories_within_are_told_if_asked_for),
        ONE(older_directories_within_are_told),
        ONE(too_many_are_overflow),
        ONE(the_directory_itself_is_deleted),
        ONE(the_name_of_a_deleted_directory_is_free_at_once),
        ONE(freed_in_its_callback),
        ONE(many_leave_no_handle),
        ONE(long_paths),
        ONE(what_cannot_be_watched_is_refused),
        ONE(another_thread_frees),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
