// A base inside other loops on the real kernel: a message loop, waits for several handles, a thread pool's wait. Once by
// the port's own handle, where the kernel lets that be waited for, and once by the event of the thread that watches it.
//
// No outer loop here relies on a time-out but where a timer is due: whatever else comes has to end its wait by the handle.
#include <initializer_list>

#include "real/real_base.h"

#include "event2/iocp.h"

#include "compat/sys.h"

using namespace real;

namespace {

constexpr DWORD patience_ms = deadline_seconds * 1000;

HANDLE handle;
DWORD wait_ms;
int time_outs;

int set_up_outer(void **state)
{
    if (set_up(state) != 0)
        return -1;
    handle = event_base_iocp_get_handle(base);
    time_outs = 0;
    return handle != nullptr ? 0 : -1;
}

// Up to `patience_ms`, whatever the base says: a longer wait has failed.
DWORD wait_limit()
{
    return wait_ms < patience_ms ? wait_ms : patience_ms;
}

void note_time_out()
{
    if (wait_ms == 0)
        return; // the base had more to do
    ++time_outs;
    assert_true(wait_ms <= patience_ms); // else the deadline has passed
}

// One round of an outer loop that waits for one thing.
bool sleep_once()
{
    if (WaitForSingleObject(handle, wait_limit()) == WAIT_OBJECT_0)
        return true;
    note_time_out();
    return false;
}

void run_once()
{
    assert_int_equal(event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &wait_ms), 1);
}

// --- echoes -------------------------------------------------------------------------------------------------------

struct echo {
    evutil_socket_t pair[2];
    struct bufferevent *server, *client;
    int rounds;
};

void on_server(struct bufferevent *bev, void *)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

void on_client(struct bufferevent *bev, void *argument)
{
    ++static_cast<echo *>(argument)->rounds;
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

void open_echo(echo *one)
{
    one->rounds = 0;
    make_pair(one->pair);
    one->server = bufferevent_socket_new(base, one->pair[0], BEV_OPT_CLOSE_ON_FREE);
    one->client = bufferevent_socket_new(base, one->pair[1], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(one->server, on_server, nullptr, nullptr, one);
    bufferevent_setcb(one->client, on_client, nullptr, nullptr, one);
    bufferevent_enable(one->server, EV_READ | EV_WRITE);
    bufferevent_enable(one->client, EV_READ | EV_WRITE);
    bufferevent_write(one->client, "ping", 4);
}

void close_echo(echo *one)
{
    bufferevent_free(one->server);
    bufferevent_free(one->client);
}

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

// --- other threads ------------------------------------------------------------------------------------------------

struct event *woken;

DWORD WINAPI activate_often(void *)
{
    for (LONG i = 1; i <= 1000; ++i) {
        event_active(woken, EV_READ, 1);
        for (int tries = 0; *static_cast<volatile int *>(&callbacks) < i && tries < deadline_seconds * 1000; ++tries)
            tries % 8 != 0 ? Sleep(1) : void(SwitchToThread()); // some come in its sleep, some before
    }
    return 0;
}

void another_thread_is_seen_each_time(void **)
{
    woken = event_new(base, -1, EV_PERSIST, count_only, nullptr);
    run_once();
    HANDLE thread = CreateThread(nullptr, 0, activate_often, nullptr, 0, nullptr);
    while (callbacks < 1000) {
        sleep_once();
        run_once();
    }
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    assert_int_equal(time_outs, 0);
    event_free(woken);
}

// Several at a time, and no handshake: the outer loop may be anywhere when one comes.
constexpr int threads = 4, a_thread = 5000;
struct event *each_woken[threads];
int each_seen[threads];

DWORD WINAPI activate_freely(void *argument)
{
    int index = *static_cast<int *>(argument);
    for (int i = 0; i < a_thread; ++i) {
        event_active(each_woken[index], EV_READ, 1);
        if (i % 64 == 0)
            SwitchToThread();
    }
    event_active(each_woken[index], EV_WRITE, 1); // the last
    return 0;
}

void on_freely(evutil_socket_t, short what, void *argument)
{
    if ((what & EV_WRITE) != 0)
        *static_cast<int *>(argument) = 1;
}

void no_change_falls_between_run_and_sleep(void **)
{
    HANDLE running[threads];
    int index[threads];
    for (int i = 0; i < threads; ++i) {
        each_seen[i] = 0;
        index[i] = i;
        each_woken[i] = event_new(base, -1, EV_PERSIST, on_freely, &each_seen[i]);
    }
    run_once();
    for (int i = 0; i < threads; ++i)
        running[i] = CreateThread(nullptr, 0, activate_freely, &index[i], 0, nullptr);
    while (each_seen[0] + each_seen[1] + each_seen[2] + each_seen[3] < threads) {
        run_once();
        if (each_seen[0] + each_seen[1] + each_seen[2] + each_seen[3] < threads)
            sleep_once();
    }
    assert_int_equal(time_outs, 0);
    for (int i = 0; i < threads; ++i) {
        WaitForSingleObject(running[i], INFINITE);
        CloseHandle(running[i]);
        event_free(each_woken[i]);
    }
}

// A receive is in flight, and what it has received must be known: the other thread takes packets.
DWORD WINAPI take_away(void *argument)
{
    bufferevent_setfd(static_cast<struct bufferevent *>(argument), -1);
    return 0;
}

void another_thread_takes_a_socket_away(void **)
{
    for (int i = 0; i < 50; ++i) {
        evutil_socket_t pair[2];
        make_pair(pair);
        struct bufferevent *bev = bufferevent_socket_new(base, pair[0], BEV_OPT_THREADSAFE);
        bufferevent_enable(bev, EV_READ);
        run_once();
        HANDLE thread = CreateThread(nullptr, 0, take_away, bev, 0, nullptr);
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
        bufferevent_free(bev);
        close_pair(pair);
    }
    // Whatever it has taken, the base still wakes.
    echo one;
    open_echo(&one);
    while (one.rounds < 50) {
        run_once();
        sleep_once();
    }
    assert_int_equal(time_outs, 0);
    close_echo(&one);
}

// --- a listening socket that it shares ----------------------------------------------------------------------------

struct sharer {
    struct event_base *base;
    struct evconnlistener *listener;
    volatile LONG accepted;
};

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    InterlockedIncrement(&static_cast<sharer *>(argument)->accepted);
    evutil_closesocket(fd);
}

DWORD WINAPI run_sharer(void *argument)
{
    return event_base_loop(static_cast<sharer *>(argument)->base, EVLOOP_NO_EXIT_ON_EMPTY) == 0 ? 0 : 1;
}

void share(sharer *self, struct event_base *of, evutil_socket_t fd)
{
    *self = {of, evconnlistener_new(of, on_accept, self, LEV_OPT_THREADSAFE, 0, fd), 0};
    assert_non_null(self->listener);
}

void connect_once(const struct sockaddr_in &to)
{
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, reinterpret_cast<const struct sockaddr *>(&to), sizeof(to)), 0);
    closesocket(client);
}

struct clients {
    struct sockaddr_in to;
    sharer *of[2];
};

// One after the other, and a break at the end.
DWORD WINAPI connect_all(void *argument)
{
    auto *self = static_cast<clients *>(argument);
    for (LONG i = 1; i <= 100; ++i) {
        connect_once(self->to);
        while (self->of[0]->accepted + self->of[1]->accepted < i)
            Sleep(1);
    }
    event_base_loopbreak(self->of[0]->base);
    return 0;
}

// Its part of the connections, for as long as somebody runs it.
void a_base_in_another_loop_shares_a_listening_socket(void **)
{
    struct sockaddr_in address;
    evutil_socket_t listening = bound(SOCK_STREAM, &address);
    assert_int_equal(listen(static_cast<SOCKET>(listening), SOMAXCONN), 0);
    struct event_base *embedded = base;
    sharer here, there;
    share(&here, embedded, listening);
    set_up(nullptr);
    share(&there, base, listening);
    HANDLE thread = CreateThread(nullptr, 0, run_sharer, &there, 0, nullptr);
    clients all = {address, {&here, &there}};
    assert_int_equal(event_base_iocp_run(embedded, 0, &wait_ms), 1);
    HANDLE connecting = CreateThread(nullptr, 0, connect_all, &all, 0, nullptr);
    while (event_base_iocp_run(embedded, 0, &wait_ms) == 1)
        sleep_once();
    WaitForSingleObject(connecting, INFINITE);
    CloseHandle(connecting);
    assert_in_range(here.accepted, 25, 75);
    for (LONG i = 101; i <= 120; ++i) {
        assert_int_equal(event_base_iocp_run(embedded, 0, &wait_ms), 1);
        connect_once(address);
        assert_int_equal(event_base_iocp_end_run(embedded), 0); // from now on nobody runs it
        for (int tries = 0; here.accepted + there.accepted < i; ++tries) {
            assert_true(tries < deadline_seconds * 1000);
            Sleep(1);
        }
    }
    event_base_loopbreak(there.base);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    evconnlistener_free(here.listener);
    evconnlistener_free(there.listener);
    evutil_closesocket(listening);
    event_base_free(embedded);
}

// --- ends -----------------------------------------------------------------------------------------------------------

void freed_while_it_sleeps(void **)
{
    echo one;
    open_echo(&one);
    while (one.rounds < 5) {
        run_once();
        sleep_once();
    }
    run_once();
    close_echo(&one);
    event_base_free(base);
    set_up(nullptr);
}

void a_loop_of_its_own_afterwards(void **)
{
    echo one;
    open_echo(&one);
    for (int i = 1; i <= 5; ++i) {
        while (one.rounds < 100 * i - 50) {
            run_once();
            sleep_once();
        }
        run_once();
        assert_int_equal(event_base_iocp_end_run(base), 0);
        while (one.rounds < 100 * i)
            assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    close_echo(&one);
}

void the_kernel_lets_a_port_be_waited_for(void **)
{
    print_message("a port can be waited for: %s\n", iocp::sys::ports_can_be_waited_for() ? "yes" : "no");
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_lets_a_port_be_waited_for),
        cmocka_unit_test_setup_teardown(echoes_take_no_timer, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_come_in_its_sleep_are_echoed, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(in_a_message_loop, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(among_other_handles, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(by_a_pool_that_waits, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_is_seen_each_time, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(no_change_falls_between_run_and_sleep, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_takes_a_socket_away, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(a_base_in_another_loop_shares_a_listening_socket, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(freed_while_it_sleeps, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_of_its_own_afterwards, set_up_outer, tear_down),
    };
    start();
    int failures = 0;
    for (const char *waits : {"EVENT_IOCP_NO_PORT_WAIT=0", "EVENT_IOCP_NO_PORT_WAIT=1"}) {
        print_message("%s\n", waits);
        _putenv(waits);
        failures += cmocka_run_group_tests(tests, nullptr, nullptr);
    }
    return failures;
}
