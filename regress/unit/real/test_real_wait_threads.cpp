// Waits for handles on the real kernel that another thread than the loop's frees.
#include <atomic>
#include <initializer_list>

#include "real/real_base.h"

#include "event2/iocp.h"

using namespace real;

namespace {

constexpr DWORD limit_ms = deadline_seconds * 1000;

HANDLE make_event(bool manual, bool is_set)
{
    HANDLE made = CreateEventW(nullptr, manual, is_set, nullptr);
    assert_non_null(made);
    return made;
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

// A delete by another thread waits for the callback that runs.
struct slow {
    HANDLE runs, is_over;
    struct evwait *wait;
    std::atomic<bool> in_callback, was_in_callback;
};

void run_slowly(void *, short, void *argument)
{
    auto *self = static_cast<slow *>(argument);
    self->in_callback = true;
    SetEvent(self->runs);
    Sleep(50);
    self->in_callback = false;
    event_base_loopbreak(base);
}

DWORD WINAPI delete_meanwhile(void *argument)
{
    auto *self = static_cast<slow *>(argument);
    WaitForSingleObject(self->runs, limit_ms);
    evwait_iocp_free(self->wait);
    self->was_in_callback = self->in_callback.load();
    return 0;
}

void a_free_by_another_thread_waits_for_the_callback(void **)
{
    for (short events : {short{0}, short{EV_PERSIST}}) {
        HANDLE event = make_event(true, true), thread;
        slow one = {make_event(false, false), nullptr, nullptr, {false}, {false}};
        one.wait = evwait_iocp_new(base, event, events, run_slowly, &one);
        assert_int_equal(evwait_iocp_add(one.wait, nullptr), 0);
        run_thread(delete_meanwhile, &one, &thread);
        assert_true(run_loop());
        join(thread);
        assert_false(one.was_in_callback);
        assert_false(one.in_callback);
        look();
        CloseHandle(event);
        CloseHandle(one.runs);
    }
}

// One that is deleted while its callback runs, and added again by that.
struct restless {
    struct evwait *wait;
    HANDLE runs;
    std::atomic<int> calls;
    std::atomic<bool> in_callback, was_in_callback;
};

void add_once_it_is_deleted(void *, short, void *argument)
{
    auto *self = static_cast<restless *>(argument);
    self->in_callback = true;
    evwait_iocp_add(self->wait, nullptr);
    SetEvent(self->runs);
    for (DWORD tries = 0; self->calls == 0 && evwait_iocp_pending(self->wait) && tries < limit_ms; ++tries)
        Sleep(1);
    if (++self->calls == 1)
        evwait_iocp_add(self->wait, nullptr);
    self->in_callback = false;
}

DWORD WINAPI free_what_is_added_again(void *argument)
{
    auto *self = static_cast<restless *>(argument);
    WaitForSingleObject(self->runs, limit_ms);
    evwait_iocp_free(self->wait);
    self->was_in_callback = self->in_callback.load();
    event_base_loopbreak(base);
    return 0;
}

void a_free_by_another_thread_ends_what_the_callback_adds(void **)
{
    for (short events : {short{0}, short{EV_PERSIST}}) {
        HANDLE event = make_event(true, true), thread;
        restless one = {nullptr, make_event(false, false), {0}, {false}, {false}};
        one.wait = evwait_iocp_new(base, event, events, add_once_it_is_deleted, &one);
        assert_int_equal(evwait_iocp_add(one.wait, nullptr), 0);
        run_thread(free_what_is_added_again, &one, &thread);
        assert_true(run_loop());
        join(thread);
        assert_false(one.was_in_callback);
        CloseHandle(event);
        CloseHandle(one.runs);
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_free_by_another_thread_waits_for_the_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_free_by_another_thread_ends_what_the_callback_adds, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests_name("real_wait_threads", tests, nullptr, nullptr);
}
