// Waits for handles on the real kernel: what can be waited for, more at once than one of Windows's threads takes, and
// what another thread signals while it is deleted and freed.
#include <atomic>
#include <initializer_list>

#include "../real/accounting.h"
#include "real/real_base.h"

#include "event2/iocp.h"

using namespace real;

namespace {

constexpr DWORD limit_ms = deadline_seconds * 1000;

struct told {
    int count;
    short what;
    void *handle;
};

void on_wait(void *handle, short what, void *argument)
{
    auto *to = static_cast<told *>(argument);
    ++to->count;
    to->what = what;
    to->handle = handle;
    event_base_loopbreak(base);
}

HANDLE make_event(bool manual, bool is_set)
{
    HANDLE made = CreateEventW(nullptr, manual, is_set, nullptr);
    assert_non_null(made);
    return made;
}

struct evwait *added(HANDLE handle, short events, told *to, const struct timeval *timeout = nullptr)
{
    struct evwait *wait = evwait_iocp_new(base, handle, events, on_wait, to);
    assert_non_null(wait);
    assert_int_equal(evwait_iocp_add(wait, timeout), 0);
    return wait;
}

DWORD WINAPI set_after_a_while(void *event)
{
    Sleep(20); // so that the loop sleeps
    SetEvent(event);
    return 0;
}

void run_thread(LPTHREAD_START_ROUTINE routine, void *argument, HANDLE *thread)
{
    *thread = CreateThread(nullptr, 0, routine, argument, 0, nullptr);
    assert_non_null(*thread);
}

void join(HANDLE thread)
{
    assert_int_equal(WaitForSingleObject(thread, limit_ms), WAIT_OBJECT_0);
    CloseHandle(thread);
}

void an_event_set_by_another_thread(void **)
{
    HANDLE event = make_event(false, false), thread;
    told to = {};
    struct evwait *wait = added(event, 0, &to);
    run_thread(set_after_a_while, event, &thread);
    assert_true(run_loop());
    join(thread);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.what, EV_READ);
    assert_ptr_equal(to.handle, event);
    assert_int_equal(WaitForSingleObject(event, 0), WAIT_TIMEOUT); // consumed
    evwait_iocp_free(wait);
    CloseHandle(event);
}

void a_semaphore_counts(void **)
{
    HANDLE semaphore = CreateSemaphoreW(nullptr, 3, 10, nullptr);
    told to = {};
    struct evwait *wait = added(semaphore, EV_PERSIST, &to);
    while (to.count < 3)
        assert_true(run_loop());
    look();
    assert_int_equal(to.count, 3);
    ReleaseSemaphore(semaphore, 1, nullptr);
    assert_true(run_loop());
    assert_int_equal(to.count, 4);
    evwait_iocp_free(wait);
    CloseHandle(semaphore);
}

void a_waitable_timer(void **)
{
    HANDLE timer = CreateWaitableTimerW(nullptr, FALSE, nullptr);
    LARGE_INTEGER due;
    due.QuadPart = -100 * 1000; // 10 ms
    assert_true(SetWaitableTimer(timer, &due, 5, nullptr, nullptr, FALSE));
    told to = {};
    struct evwait *wait = added(timer, EV_PERSIST, &to);
    while (to.count < 4)
        assert_true(run_loop());
    evwait_iocp_free(wait);
    CloseHandle(timer);
}

DWORD WINAPI end_soon(void *)
{
    return 7;
}

void a_thread_and_a_process(void **)
{
    HANDLE thread;
    run_thread(end_soon, nullptr, &thread);
    told to = {};
    struct evwait *wait = added(thread, 0, &to);
    assert_true(run_loop());
    assert_int_equal(to.what, EV_READ);
    DWORD code = 0;
    assert_true(GetExitCodeThread(thread, &code));
    assert_int_equal(code, 7);
    evwait_iocp_free(wait);
    CloseHandle(thread);

    wchar_t command[] = L"cmd.exe /c exit 9";
    STARTUPINFOW startup = {};
    startup.cb = sizeof(startup);
    PROCESS_INFORMATION child;
    assert_true(CreateProcessW(nullptr, command, nullptr, nullptr, FALSE, 0, nullptr, nullptr, &startup, &child));
    wait = added(child.hProcess, 0, &to);
    assert_true(run_loop());
    assert_true(GetExitCodeProcess(child.hProcess, &code));
    assert_int_equal(code, 9);
    evwait_iocp_free(wait);
    CloseHandle(child.hThread);
    CloseHandle(child.hProcess);
}

void timeouts_come(void **)
{
    HANDLE event = make_event(false, false);
    told to = {};
    struct timeval timeout = {0, 20 * 1000};
    struct evwait *wait = added(event, 0, &to, &timeout);
    assert_true(run_loop());
    assert_int_equal(to.what, EV_TIMEOUT);
    assert_false(evwait_iocp_pending(wait));
    evwait_iocp_free(wait);
    wait = added(event, EV_PERSIST, &to, &timeout);
    while (to.count < 4)
        assert_true(run_loop());
    SetEvent(event);
    while ((to.what & EV_READ) == 0)
        assert_true(run_loop());
    evwait_iocp_free(wait);
    CloseHandle(event);
}

constexpr int many = 200; // a thread of Windows's takes 63

struct one_of_many {
    int *left; // how many have not been told
    int told;
};

void count_each(void *, short, void *argument)
{
    auto *self = static_cast<one_of_many *>(argument);
    if (++self->told == 1 && --*self->left == 0)
        event_base_loopbreak(base);
}

void many_at_once(void **)
{
    HANDLE events[many];
    struct evwait *waits[many];
    one_of_many all[many];
    int left = 0;
    for (int i = 0; i < many; ++i) {
        events[i] = make_event(false, false);
        waits[i] = evwait_iocp_new(base, events[i], EV_PERSIST, count_each, &all[i]);
        assert_int_equal(evwait_iocp_add(waits[i], nullptr), 0);
    }
    for (int round = 0; round < 3; ++round) {
        left = many;
        for (one_of_many &each : all)
            each = {&left, 0};
        for (HANDLE each : events)
            SetEvent(each);
        assert_true(run_loop());
        for (const one_of_many &each : all)
            assert_int_equal(each.told, 1);
    }
    for (int i = 0; i < many; ++i) {
        evwait_iocp_free(waits[i]);
        CloseHandle(events[i]);
    }
}

void what_is_refused(void **)
{
    HANDLE mutex = CreateMutexW(nullptr, FALSE, nullptr);
    HANDLE event = make_event(false, false), closed = make_event(false, false), no_rights;
    HANDLE self = GetCurrentProcess();
    assert_true(DuplicateHandle(self, event, self, &no_rights, EVENT_MODIFY_STATE, FALSE, 0));
    HANDLE section = CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, 4096, nullptr);
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 0);
    CloseHandle(closed);
    const struct {
        HANDLE handle;
        int error;
    } cases[] = {
        {mutex, ERROR_INVALID_PARAMETER}, {closed, ERROR_INVALID_HANDLE},
        {nullptr, ERROR_INVALID_HANDLE},  {INVALID_HANDLE_VALUE, ERROR_INVALID_HANDLE},
        {self, ERROR_INVALID_HANDLE},     {GetCurrentThread(), ERROR_INVALID_HANDLE},
        {no_rights, ERROR_ACCESS_DENIED}, {port, ERROR_INVALID_PARAMETER},
    };
    unsigned long handles = accounting::open_handles();
    for (const auto &each : cases) {
        WSASetLastError(0);
        assert_null(evwait_iocp_new(base, each.handle, 0, on_wait, nullptr));
        assert_int_equal(EVUTIL_SOCKET_ERROR(), each.error);
    }
    // Not waitable, or without the right: its kind has none.
    assert_null(evwait_iocp_new(base, section, 0, on_wait, nullptr));
    assert_true(EVUTIL_SOCKET_ERROR() == ERROR_ACCESS_DENIED || EVUTIL_SOCKET_ERROR() == ERROR_INVALID_HANDLE);
    assert_int_equal(accounting::open_handles(), handles);
    // The tries have consumed nothing, and the mutex is nobody's.
    assert_int_equal(WaitForSingleObject(mutex, 0), WAIT_OBJECT_0);
    for (HANDLE each : {mutex, event, no_rights, section, port})
        CloseHandle(each);
}

void asking_consumes_nothing(void **)
{
    HANDLE event = make_event(false, true);
    struct evwait *wait = evwait_iocp_new(base, event, 0, on_wait, nullptr);
    assert_non_null(wait);
    assert_int_equal(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    evwait_iocp_free(wait);
    CloseHandle(event);
}

// Another thread sets an event again and again while it is waited for, deleted, freed; each is told or left set, but for
// what a delete may have consumed.
struct signaller {
    HANDLE event;
    std::atomic<bool> ends;
};

DWORD WINAPI keep_signalling(void *argument)
{
    auto *self = static_cast<signaller *>(argument);
    while (!self->ends)
        SetEvent(self->event);
    return 0;
}

constexpr int races = 300;

void deletes_and_frees_race_with_signals(void **)
{
    signaller other = {make_event(false, false), {false}};
    HANDLE thread;
    run_thread(keep_signalling, &other, &thread);
    int heard = 0;
    for (int i = 0; i < races; ++i) {
        told to = {};
        struct evwait *wait = added(other.event, i % 2 != 0 ? EV_PERSIST : 0, &to);
        if (i % 3 == 0)
            look();
        if (i % 5 == 0) {
            evwait_iocp_del(wait);
            int before = to.count;
            look();
            assert_int_equal(to.count, before);
            assert_int_equal(evwait_iocp_add(wait, nullptr), 0);
        }
        if (i % 7 == 0) {
            assert_int_equal(evwait_iocp_add(wait, nullptr), 0); // it may have been told already
            assert_true(run_loop());
        }
        heard += to.count;
        evwait_iocp_free(wait);
    }
    other.ends = true;
    join(thread);
    assert_true(heard >= races / 7);
    CloseHandle(other.event);
}

void a_base_is_freed_amid_signals(void **state)
{
    signaller other = {make_event(false, false), {false}};
    HANDLE thread;
    run_thread(keep_signalling, &other, &thread);
    for (int i = 0; i < 20; ++i) {
        told to[8] = {};
        struct evwait *waits[8];
        for (int each = 0; each < 8; ++each)
            waits[each] = added(other.event, EV_PERSIST, &to[each]);
        look();
        event_base_free(base);
        for (struct evwait *each : waits)
            evwait_iocp_free(each);
        assert_int_equal(set_up(state), 0);
    }
    other.ends = true;
    join(thread);
    CloseHandle(other.event);
}

void nothing_is_left(void **state)
{
    event_base_free(base);
    size_t blocks = 0;
    unsigned long handles = 0;
    for (int round = 0; round < 3; ++round) {
        assert_int_equal(set_up(state), 0);
        many_at_once(nullptr);
        deletes_and_frees_race_with_signals(nullptr);
        event_base_free(base);
        // Windows keeps its threads, and their handles, for a while.
        if (round > 0)
            assert_true(accounting::open_handles() <= handles + 8);
        if (round > 0)
            assert_int_equal(accounting::live_blocks(), blocks);
        handles = accounting::open_handles();
        blocks = accounting::live_blocks();
    }
    assert_int_equal(set_up(state), 0);
}

} // namespace

int main()
{
#define WAIT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WAIT_TEST(an_event_set_by_another_thread),
        WAIT_TEST(a_semaphore_counts),
        WAIT_TEST(a_waitable_timer),
        WAIT_TEST(a_thread_and_a_process),
        WAIT_TEST(timeouts_come),
        WAIT_TEST(many_at_once),
        WAIT_TEST(what_is_refused),
        WAIT_TEST(asking_consumes_nothing),
        WAIT_TEST(deletes_and_frees_race_with_signals),
        WAIT_TEST(a_base_is_freed_amid_signals),
        WAIT_TEST(nothing_is_left),
    };
    accounting::start();
    start();
    return cmocka_run_group_tests_name("real_waits", tests, nullptr, nullptr);
}
