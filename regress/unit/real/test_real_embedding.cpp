// A base inside other loops on the real kernel: a message loop, waits for several handles, a thread pool's wait. Once by
// the port's own handle, where the kernel lets that be waited for, and once by the event of the thread that watches it;
// those that want an event have one both times.
#include "real/outer_loop.h"

#include "compat/sys.h"

using namespace real;

namespace {

void echoes_take_no_timer(void **)
{
    echo one;
    open_echo(&one);
    while (one.rounds < 1000) {
        run_once();
        sleep_once();
    }
    assert_int_equal(time_outs, 0);
    close_echo(&one);
}

// Somebody else's bytes, which come while the outer loop sleeps.
DWORD WINAPI send_by_hand(void *argument)
{
    auto *one = static_cast<echo *>(argument);
    char bytes[4];
    for (int i = 0; i < 200; ++i) {
        if (send(static_cast<SOCKET>(one->pair[1]), "ping", 4, 0) != 4)
            return 1;
        for (int got = 0; got < 4;) {
            int more = recv(static_cast<SOCKET>(one->pair[1]), bytes, 4 - got, 0);
            if (more <= 0)
                return 1;
            got += more;
        }
    }
    event_base_loopbreak(base);
    return 0;
}

void bytes_that_come_in_its_sleep_are_echoed(void **)
{
    echo one = {};
    make_pair(one.pair);
    u_long blocks = 0;
    ioctlsocket(static_cast<SOCKET>(one.pair[1]), static_cast<long>(FIONBIO), &blocks);
    one.server = bufferevent_socket_new(base, one.pair[0], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(one.server, on_server, nullptr, nullptr, nullptr);
    bufferevent_enable(one.server, EV_READ | EV_WRITE);
    run_once();
    HANDLE thread = CreateThread(nullptr, 0, send_by_hand, &one, 0, nullptr);
    int result;
    while ((result = event_base_iocp_run(base, 0, &wait_ms)) == 1)
        sleep_once();
    assert_int_equal(result, 0);
    assert_true(event_base_got_break(base));
    DWORD status = 1;
    WaitForSingleObject(thread, INFINITE);
    GetExitCodeThread(thread, &status);
    CloseHandle(thread);
    assert_int_equal(status, 0);
    assert_int_equal(time_outs, 0);
    bufferevent_free(one.server);
    evutil_closesocket(one.pair[1]);
}

// --- a message loop -----------------------------------------------------------------------------------------------

constexpr int messages_sent = 300;

DWORD WINAPI post_messages(void *thread_id)
{
    for (int i = 0; i < messages_sent; ++i) {
        PostThreadMessageW(*static_cast<DWORD *>(thread_id), WM_APP, static_cast<WPARAM>(i), 0);
        if (i % 16 == 0)
            Sleep(1);
    }
    return 0;
}

void in_a_message_loop(void **)
{
    MSG message;
    PeekMessageW(&message, nullptr, 0, 0, PM_NOREMOVE); // the thread has a queue from now on
    DWORD self = GetCurrentThreadId();
    echo one;
    open_echo(&one);
    int ticks = 0, next = 0;
    struct timeval tick = {0, 10000};
    struct event *timer = event_new(base, -1, EV_PERSIST, count_only, &ticks);
    event_add(timer, &tick);
    HANDLE thread = CreateThread(nullptr, 0, post_messages, &self, 0, nullptr);
    for (bool stops = false; !stops || next < messages_sent || ticks < 5 || one.rounds < 500;) {
        run_once();
        DWORD how = MsgWaitForMultipleObjectsEx(1, &handle, wait_limit(), QS_ALLINPUT, MWMO_INPUTAVAILABLE);
        if (how == WAIT_TIMEOUT)
            note_time_out();
        while (PeekMessageW(&message, nullptr, 0, 0, PM_REMOVE))
            if (message.message == WM_APP)
                assert_int_equal(message.wParam, next++);
        stops = WaitForSingleObject(thread, 0) == WAIT_OBJECT_0;
    }
    CloseHandle(thread);
    assert_in_range(time_outs, 0, ticks); // none but for a timer
    event_free(timer);
    close_echo(&one);
}

// --- among other handles ------------------------------------------------------------------------------------------

HANDLE others[2];
volatile LONG seen[2];

DWORD WINAPI set_others(void *)
{
    for (LONG i = 1; i <= 200; ++i) {
        int which = i % 2;
        LONG before = seen[which];
        SetEvent(others[which]);
        for (int tries = 0; seen[which] == before && tries < deadline_seconds * 1000; ++tries)
            Sleep(1);
    }
    return 0;
}

void among_other_handles(void **)
{
    for (int i = 0; i < 2; ++i) {
        others[i] = CreateEventW(nullptr, FALSE, FALSE, nullptr);
        seen[i] = 0;
    }
    HANDLE handles[] = {others[0], handle, others[1]};
    echo one;
    open_echo(&one);
    HANDLE thread = CreateThread(nullptr, 0, set_others, nullptr, 0, nullptr);
    while (seen[0] + seen[1] < 200 || one.rounds < 500) {
        run_once();
        // The base's is looked at last: the first that is signalled is told.
        HANDLE in_turn[] = {handles[0], handles[2], handles[1]};
        DWORD how = WaitForMultipleObjects(3, in_turn, FALSE, wait_limit());
        if (how == WAIT_TIMEOUT)
            note_time_out();
        if (how == WAIT_OBJECT_0 || how == WAIT_OBJECT_0 + 1)
            InterlockedIncrement(&seen[how - WAIT_OBJECT_0]);
    }
    assert_int_equal(time_outs, 0);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    CloseHandle(others[0]);
    CloseHandle(others[1]);
    close_echo(&one);
}

void CALLBACK on_waited(void *woken, BOOLEAN)
{
    SetEvent(*static_cast<HANDLE *>(woken));
}

// Somebody else waits, and tells the outer loop.
void by_a_pool_that_waits(void **)
{
    HANDLE woken = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    echo one;
    open_echo(&one);
    while (one.rounds < 200) {
        run_once();
        if (wait_ms == 0)
            continue;
        HANDLE wait;
        assert_true(RegisterWaitForSingleObject(&wait, handle, on_waited, &woken, INFINITE, WT_EXECUTEONLYONCE));
        assert_int_equal(WaitForSingleObject(woken, patience_ms), WAIT_OBJECT_0);
        UnregisterWaitEx(wait, INVALID_HANDLE_VALUE);
    }
    CloseHandle(woken);
    close_echo(&one);
}

void all_of_several(void **)
{
    HANDLE both[] = {handle, CreateEventW(nullptr, FALSE, FALSE, nullptr)};
    echo one;
    open_echo(&one);
    while (one.rounds < 200) {
        run_once();
        SetEvent(both[1]);
        if (WaitForMultipleObjects(2, both, TRUE, wait_limit()) == WAIT_TIMEOUT)
            note_time_out();
    }
    assert_int_equal(time_outs, 0);
    CloseHandle(both[1]);
    close_echo(&one);
}

int run_group()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(echoes_take_no_timer, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_come_in_its_sleep_are_echoed, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(in_a_message_loop, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(among_other_handles, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(by_a_pool_that_waits, set_up_outer_by_event, tear_down),
        cmocka_unit_test_setup_teardown(all_of_several, set_up_outer_by_event, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

} // namespace

int main()
{
    return run_both_ways(run_group);
}
