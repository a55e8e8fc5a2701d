// A signal's handler runs in any thread, and posts to the port of a base that its own thread may be freeing: the port
// stays open for it, and nobody holds a lock meanwhile. The calls are watched in the import table; the handler is held
// in its post until who frees the base waits for it.
#include <atomic>
#include <initializer_list>
#include <signal.h>

#include "real/real_base.h"

#include "event2/iocp.h"

#include "support/imports.h"

using namespace real;

namespace {

constexpr DWORD limit_ms = deadline_seconds * 1000;

BOOL(WINAPI *post)(HANDLE, DWORD, ULONG_PTR, LPOVERLAPPED);
BOOL(WINAPI *close_handle)(HANDLE);
VOID(WINAPI *sleep)(DWORD);
VOID(WINAPI *take_exclusive)(PSRWLOCK);
VOID(WINAPI *take_shared)(PSRWLOCK);
VOID(WINAPI *let_go_exclusive)(PSRWLOCK);
VOID(WINAPI *let_go_shared)(PSRWLOCK);

thread_local int locks_held;
std::atomic<bool> is_watching;
std::atomic<HANDLE> posted_to; // while a post is held
std::atomic<bool> held_in_time, closed_over_post, locked_post;
HANDLE is_posting, somebody_waits;

BOOL WINAPI held_post(HANDLE port, DWORD bytes, ULONG_PTR key, LPOVERLAPPED overlapped)
{
    if (is_watching) {
        locked_post = locks_held != 0;
        posted_to = port;
        SetEvent(is_posting);
        held_in_time = WaitForSingleObject(somebody_waits, limit_ms) == WAIT_OBJECT_0;
    }
    BOOL result = post(port, bytes, key, overlapped);
    posted_to = nullptr;
    return result;
}

BOOL WINAPI watched_close(HANDLE closed)
{
    if (is_watching && closed == posted_to) {
        closed_over_post = true;
        SetEvent(somebody_waits);
    }
    return close_handle(closed);
}

VOID WINAPI watched_sleep(DWORD ms)
{
    if (is_watching)
        SetEvent(somebody_waits);
    sleep(ms);
}

VOID WINAPI counted_exclusive(PSRWLOCK lock)
{
    take_exclusive(lock);
    ++locks_held;
}

VOID WINAPI counted_shared(PSRWLOCK lock)
{
    take_shared(lock);
    ++locks_held;
}

VOID WINAPI counted_exclusive_end(PSRWLOCK lock)
{
    --locks_held;
    let_go_exclusive(lock);
}

VOID WINAPI counted_shared_end(PSRWLOCK lock)
{
    --locks_held;
    let_go_shared(lock);
}

DWORD WINAPI raise_signal(void *)
{
    raise(SIGINT);
    return 0;
}

void a_base_is_freed_while_a_signal_is_posted_to_it(void **state)
{
    is_posting = CreateEvent(nullptr, FALSE, FALSE, nullptr);
    somebody_waits = CreateEvent(nullptr, FALSE, FALSE, nullptr);
    struct event *interrupt = evsignal_new(base, SIGINT, count_and_break, nullptr);
    event_add(interrupt, nullptr);
    is_watching = true;
    HANDLE thread = CreateThread(nullptr, 0, raise_signal, nullptr, 0, nullptr);
    assert_int_equal(WaitForSingleObject(is_posting, limit_ms), WAIT_OBJECT_0);
    event_base_free(base);
    assert_int_equal(WaitForSingleObject(thread, limit_ms), WAIT_OBJECT_0);
    is_watching = false;
    assert_true(held_in_time);
    assert_false(closed_over_post);
    assert_false(locked_post);
    free(interrupt); // its base is gone
    for (HANDLE each : {thread, is_posting, somebody_waits})
        CloseHandle(each);
    set_up(state);
}

// --- a signal that comes again while its callback runs --------------------------------------------------------------

struct bufferevent *receives;
bool let_go_in_time;

DWORD WINAPI take_descriptor_back(void *)
{
    bufferevent_setfd(receives, -1);
    return 0;
}

void on_interrupt(evutil_socket_t, short, void *)
{
    if (++callbacks == 2) {
        event_base_loopbreak(base);
        return;
    }
    raise(SIGINT);
    HANDLE thread = CreateThread(nullptr, 0, take_descriptor_back, nullptr, 0, nullptr);
    let_go_in_time = WaitForSingleObject(thread, limit_ms) == WAIT_OBJECT_0;
    CloseHandle(thread);
}

// That thread waits for a receive that it has called back, and the signal's packet comes first.
void a_callback_waits_for_who_takes_its_signals_packet(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    receives = bufferevent_socket_new(base, pair[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
    bufferevent_enable(receives, EV_READ);
    look();
    struct event_iocp_stats now;
    assert_int_equal(event_iocp_get_stats(base, &now, sizeof(now)), 0);
    assert_int_equal(now.receives.in_flight, 1);
    struct event *interrupt = evsignal_new(base, SIGINT, on_interrupt, nullptr);
    event_add(interrupt, nullptr);
    raise(SIGINT);
    assert_true(run_loop());
    assert_true(let_go_in_time);
    assert_int_equal(callbacks, 2);
    event_free(interrupt);
    bufferevent_free(receives);
    close_pair(pair);
}

template <typename Function> bool watch_call(Function *own, const char *name, Function watched)
{
    const wchar_t *kernel = L"kernel32.dll";
    *own = iocp::exported(*own, kernel, name);
    return iocp::replace_import(kernel, name, watched);
}

bool watch()
{
    return watch_call(&post, "PostQueuedCompletionStatus", held_post) &&
           watch_call(&close_handle, "CloseHandle", watched_close) && watch_call(&sleep, "Sleep", watched_sleep) &&
           watch_call(&take_exclusive, "AcquireSRWLockExclusive", counted_exclusive) &&
           watch_call(&take_shared, "AcquireSRWLockShared", counted_shared) &&
           watch_call(&let_go_exclusive, "ReleaseSRWLockExclusive", counted_exclusive_end) &&
           watch_call(&let_go_shared, "ReleaseSRWLockShared", counted_shared_end);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_base_is_freed_while_a_signal_is_posted_to_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_callback_waits_for_who_takes_its_signals_packet, set_up, tear_down),
    };
    start();
    if (!watch())
        return 1;
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
