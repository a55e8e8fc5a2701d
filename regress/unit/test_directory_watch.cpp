// Watches on the fake kernel: what is told of changes, overflow, shortage, reads that end oddly and the end of the
// directory, and what is refused.
#include "support/check.h"

#include "support/guard.h"
#include "support/strict_locks.h"
#include "support/watching.h"

#include "event2/iocp.h"

using namespace iocp;
using namespace iocp::one_directory;

namespace {

constexpr nt_status status_no_such_device = static_cast<nt_status>(0xC000000E);

struct event_iocp_operation_stats directory_stats()
{
    struct event_iocp_stats stats;
    event_iocp_get_stats(base, &stats, sizeof(stats));
    return stats.directories;
}

void changes_are_told(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    assert_true(fake::is_read(L"d"));
    fake::change_directory(L"d", {{1, L"a"}, {3, L"a"}});
    assert_int_equal(w.calls, 0); // in the loop, and nowhere else
    assert_string_equal(told_by_turns().c_str(), "+a *a");
    assert_true(fake::is_read(L"d"));
    fake::change_directory(L"d", {{4, L"a"}, {5, L"\xe4"}, {2, L"\xe4"}});
    assert_string_equal(told_by_turns().c_str(), "a>\xc3\xa4 -\xc3\xa4");
    assert_int_equal(w.calls, 2);
    assert_int_equal(directory_stats().started, 3);
    assert_int_equal(directory_stats().in_flight, 1);
    free_watch();
    assert_int_equal(fake::directories_open(), 0); // at once: the directory may be in somebody's way
    assert_string_equal(told_by_turns().c_str(), "");
    assert_int_equal(directory_stats().cancelled, 1);
    assert_int_equal(directory_stats().in_flight, 0);
}

void what_changes_before_the_callback_is_kept(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    uint64_t reads = 0;
    w.when_called = [&reads]() {
        reads = fake::calls(fake::call::directory_read); // the next one has begun
        fake::change_directory(L"d", {{1, L"within"}});
        w.when_called = nullptr;
    };
    fake::change_directory(L"d", {{1, L"a"}});
    fake::change_directory(L"d", {{1, L"b"}, {1, L"c"}}); // finds no read
    assert_string_equal(told_by_turns(1).c_str(), "+a");
    assert_int_equal(reads, 2);
    assert_string_equal(told_by_turns().c_str(), "+b +c +within");
    free_watch();
}

void overflow_is_told_and_it_goes_on(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    std::vector<fake::change> many(2000, {1, L"a name"});
    fake::change_directory(L"d", many);
    w.when_called = []() { assert_true(fake::is_read(L"d")); };
    assert_string_equal(told_by_turns().c_str(), "overflow");
    fake::change_directory(L"d", {{1, L"a"}});
    assert_string_equal(told_by_turns().c_str(), "+a");
    // No bytes are enough of a sign.
    assert_true(fake::answer_read(L"d", 0, ""));
    assert_string_equal(told_by_turns().c_str(), "overflow");
    free_watch();
}

void a_split_rename_is_one(void **)
{
    fake::split_renames(1000);
    assert_true(watch_directory(&w, base, "d"));
    fake::change_directory(L"d", {{1, L"x"}, {4, L"a"}, {5, L"b"}, {1, L"y"}});
    assert_string_equal(told_by_turns().c_str(), "+x a>b +y");
    fake::change_directory(L"d", {{4, L"a"}, {5, L"b"}, {4, L"b"}, {5, L"c"}});
    assert_string_equal(told_by_turns(5).c_str(), "a>b b>c");
    free_watch();
}

void a_rename_without_a_new_name_is_told_in_time(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::change_directory(L"d", {{4, L"a"}});
    run_for(900);
    assert_int_equal(w.calls, 0);
    run_for(200);
    assert_string_equal(all_told(&w).c_str(), "-a");
    fake::change_directory(L"d", {{5, L"b"}});
    assert_string_equal(told_by_turns().c_str(), "+b");
    // The rest was lost.
    fake::change_directory(L"d", {{4, L"a"}});
    assert_string_equal(told_by_turns().c_str(), "");
    fake::change_directory(L"d", std::vector<fake::change>(2000, {1, L"a name"}));
    assert_string_equal(told_by_turns().c_str(), "-a overflow");
    // And freed while it waits.
    fake::change_directory(L"d", {{4, L"a"}});
    assert_string_equal(told_by_turns().c_str(), "");
    free_watch();
    run_for(2000);
    assert_string_equal(all_told(&w).c_str(), "");
}

void its_end_is_told_once(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::change_directory(L"d", {{1, L"a"}});
    fake::delete_directory(L"d"); // before the next read
    assert_string_equal(told_by_turns().c_str(), "+a deleted 5");
    assert_int_equal(fake::directories_open(), 0);
    run_for(2000);
    assert_string_equal(all_told(&w).c_str(), "");
    free_watch();

    fake::make_directory(L"d");
    assert_true(watch_directory(&w, base, "d"));
    fake::delete_directory(L"d"); // during one
    assert_string_equal(told_by_turns().c_str(), "deleted 5");
    assert_int_equal(fake::directories_open(), 0);
    assert_int_equal(event_base_dispatch(base), 1); // it keeps the loop no more
    free_watch();
}

void another_end_is_an_error(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    w.when_called = free_watch; // from within its last callback
    assert_true(fake::answer_read(L"d", status_no_such_device, ""));
    assert_string_equal(told_by_turns().c_str(), "error 31");
    assert_int_equal(fake::directories_open(), 0);

    w = {};
    assert_true(watch_directory(&w, base, "d"));
    fake::fail_calls(fake::call::directory_read, ERROR_NETNAME_DELETED);
    fake::change_directory(L"d", {{4, L"a"}});
    assert_string_equal(told_by_turns().c_str(), "overflow error 64");
    free_watch();
}

void shortage_is_waited_for(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::fail_calls(fake::call::directory_read, ERROR_NO_SYSTEM_RESOURCES, 10);
    fake::change_directory(L"d", {{1, L"a"}});
    size_t waits = fake::waits().size();
    run_for(490);
    assert_string_equal(all_told(&w).c_str(), "+a");
    assert_false(fake::is_read(L"d"));
    assert_true(fake::waits().size() - waits < 40); // one try in 50 ms
    fake::change_directory(L"d", {{1, L"b"}});
    run_for(100);
    assert_string_equal(all_told(&w).c_str(), "+b");
    // Told by the packet: then something may be lost.
    assert_true(fake::answer_read(L"d", fake::fate_shortage, ""));
    run_for(40);
    assert_string_equal(all_told(&w).c_str(), "overflow");
    assert_false(fake::is_read(L"d"));
    run_for(40);
    assert_true(fake::is_read(L"d"));
    // Freed while it waits.
    assert_true(fake::answer_read(L"d", fake::fate_shortage, ""));
    run_for(10);
    free_watch();
    run_for(200);
}

void no_memory_for_changes_is_overflow(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::change_directory(L"d", {{1, L"a"}});
    guard::fail_allocations(0, 1);
    assert_string_equal(told_by_turns().c_str(), "overflow");
    fake::change_directory(L"d", {{1, L"a"}});
    assert_string_equal(told_by_turns().c_str(), "+a");
    free_watch();
}

void an_interrupted_read_is_started_again(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::end_starting_thread();
    assert_string_equal(told_by_turns().c_str(), "");
    fake::change_directory(L"d", {{1, L"a"}}); // kept
    run_for(100);
    assert_string_equal(all_told(&w).c_str(), "+a");
    free_watch();
}

void odd_buffers_are_overflow(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    std::string bytes = fake::written_changes({{1, L"a"}, {1, L"b"}});
    fake::answer_read(L"d", 0, bytes.substr(0, bytes.size() - 4));
    assert_string_equal(told_by_turns().c_str(), "+a overflow");
    fake::answer_read(L"d", 0, std::string(20000, 'x')); // more than was asked for
    assert_string_equal(told_by_turns().c_str(), "overflow");
    fake::change_directory(L"d", {{1, L"a"}});
    assert_string_equal(told_by_turns().c_str(), "+a");
    free_watch();
}

void refuses(const char *path, int flags, int error)
{
    WSASetLastError(0);
    assert_false(watch_directory(&w, base, path, flags));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
    assert_int_equal(fake::directories_open(), 0);
    assert_int_equal(fake::operations_in_flight(), 0);
    assert_int_equal(event_base_dispatch(base), 1);
}

void what_cannot_be_watched_is_refused(void **)
{
    refuses(nullptr, 0, WSAEINVAL);
    refuses("d", 2, WSAEINVAL);
    refuses("d", -1, WSAEINVAL);
    refuses("", 0, ERROR_PATH_NOT_FOUND);
    refuses("not there", 0, ERROR_FILE_NOT_FOUND);
    refuses("file", 0, ERROR_DIRECTORY);
    refuses("d\xff", 0, ERROR_NO_UNICODE_TRANSLATION);
    assert_null(evdirwatch_iocp_new(base, "d", 0, nullptr, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEINVAL);
    assert_null(evdirwatch_iocp_new(nullptr, "d", 0, watching_called, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEOPNOTSUPP);
    fake::fail_calls(fake::call::directory_open, ERROR_ACCESS_DENIED);
    refuses("d", 0, ERROR_ACCESS_DENIED);
    fake::fail_calls(fake::call::port_associate, ERROR_INVALID_PARAMETER);
    refuses("d", 0, ERROR_INVALID_PARAMETER);
    fake::fail_calls(fake::call::directory_read, ERROR_INVALID_FUNCTION);
    refuses("d", 0, ERROR_INVALID_FUNCTION);
    fake::fail_calls(fake::call::directory_read, WSAENOBUFS);
    refuses("d", 0, WSAENOBUFS);
    for (unsigned after = 0; after < 3; ++after) {
        guard::fail_allocations(after, 1);
        refuses("d", 0, WSAENOBUFS);
        assert_int_equal(guard::failed_allocations(), 1);
    }
    guard::fail_allocations(0, 0);
    assert_true(watch_directory(&w, base, "d", EVDIRWATCH_RECURSIVE));
    free_watch();
}

void a_base_on_select_is_refused(void **)
{
    struct event_base *on_select = make_base(on_select_unlocked);
    assert_false(is_on_port(on_select));
    assert_null(evdirwatch_iocp_new(on_select, "d", 0, watching_called, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEOPNOTSUPP);
    event_base_free(on_select);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        ONE(changes_are_told),
        ONE(what_changes_before_the_callback_is_kept),
        ONE(overflow_is_told_and_it_goes_on),
        ONE(a_split_rename_is_one),
        ONE(a_rename_without_a_new_name_is_told_in_time),
        ONE(its_end_is_told_once),
        ONE(another_end_is_an_error),
        ONE(shortage_is_waited_for),
        ONE(no_memory_for_changes_is_overflow),
        ONE(an_interrupted_read_is_started_again),
        ONE(odd_buffers_are_overflow),
        ONE(what_cannot_be_watched_is_refused),
        cmocka_unit_test_setup(a_base_on_select_is_refused, set_up_kernel), // libevent's select leaves a block
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
