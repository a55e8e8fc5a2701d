// A base inside another loop on the real kernel, and what other threads do to it meanwhile; how a run ends.
#include "real/outer_loop.h"

using namespace real;

namespace {

// --- other threads ------------------------------------------------------------------------------------------------

struct event *woken;
constexpr int hand_overs = 200; // each waits for several threads to get a processor

DWORD WINAPI activate_often(void *)
{
    for (LONG i = 1; i <= hand_overs; ++i) {
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
    while (callbacks < hand_overs) {
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
    bool missed; // one that nobody accepted
};

LONG accepted(const clients &all)
{
    return all.of[0]->accepted + all.of[1]->accepted;
}

// One after the other, and a break at the end.
DWORD WINAPI connect_all(void *argument)
{
    auto *self = static_cast<clients *>(argument);
    for (LONG wanted = accepted(*self) + 1, last = wanted + 99; wanted <= last && !self->missed; ++wanted) {
        connect_once(self->to);
        for (ULONGLONG end = GetTickCount64() + patience_ms; accepted(*self) < wanted && !self->missed; Sleep(1))
            self->missed = GetTickCount64() > end;
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
    clients all = {address, {&here, &there}, false};
    for (int rounds = 0; here.accepted == 0 || there.accepted == 0; ++rounds) {
        assert_in_range(rounds, 0, 20); // a base that the machine gives little time to has few
        assert_int_equal(event_base_iocp_run(embedded, 0, &wait_ms), 1);
        HANDLE connecting = CreateThread(nullptr, 0, connect_all, &all, 0, nullptr);
        while (event_base_iocp_run(embedded, 0, &wait_ms) == 1)
            sleep_once();
        WaitForSingleObject(connecting, INFINITE);
        CloseHandle(connecting);
        assert_false(all.missed);
    }
    for (LONG i = accepted(all) + 1, last = i + 19; i <= last; ++i) {
        assert_int_equal(event_base_iocp_run(embedded, 0, &wait_ms), 1);
        connect_once(address);
        assert_int_equal(event_base_iocp_end_run(embedded), 0); // from now on nobody runs it
        for (int tries = 0; accepted(all) < i; ++tries) {
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

int run_group()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_thread_is_seen_each_time, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(no_change_falls_between_run_and_sleep, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_takes_a_socket_away, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(a_base_in_another_loop_shares_a_listening_socket, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(freed_while_it_sleeps, set_up_outer, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_of_its_own_afterwards, set_up_outer, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

} // namespace

int main()
{
    return run_both_ways(run_group);
}
