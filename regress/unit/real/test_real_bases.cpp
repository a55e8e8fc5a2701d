// A listener that hands on to bases in threads, on the real kernel: each runs its callback in its own thread, and has
// its part of the connections; what is freed while callbacks run waits for them.
#include <atomic>

#include "real/real_base.h"

#include "event2/iocp.h"
#include "event2/thread.h"

using namespace real;

namespace {

constexpr unsigned bases = 4;
constexpr int connections = 400;
// Of a hundred each. Windows may keep a thread from running meanwhile: then not in this round.
constexpr int least = 85, most = 115, most_rounds = 40;
constexpr DWORD limit_ms = deadline_seconds * 1000;
constexpr DWORD short_random_ms = 5000, full_random_ms = 60000;
constexpr int max_steps = 200000;

struct worker {
    struct event_base *own_base;
    HANDLE thread;
    DWORD id;
    std::atomic<int> accepted;
    std::atomic<bool> is_elsewhere;
};

worker workers[bases];
DWORD random_ms = short_random_ms;
std::atomic<int> running; // callbacks
HANDLE holds_up;          // an event for which callbacks wait; NULL: none does

void came_back(struct bufferevent *served, void *)
{
    bufferevent_write_buffer(served, bufferevent_get_input(served));
}

void has_ended(struct bufferevent *served, short, void *)
{
    bufferevent_free(served);
}

void on_handed(struct evconnlistener *part, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    ++running;
    for (worker &each : workers)
        if (each.own_base == evconnlistener_get_base(part)) {
            each.is_elsewhere = each.is_elsewhere || each.id != GetCurrentThreadId();
            ++each.accepted;
        }
    struct bufferevent *served =
        bufferevent_socket_new(evconnlistener_get_base(part), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
    bufferevent_setcb(served, came_back, nullptr, has_ended, nullptr);
    bufferevent_enable(served, EV_READ);
    if (holds_up != nullptr)
        WaitForSingleObject(holds_up, limit_ms);
    --running;
}

DWORD WINAPI work(void *argument)
{
    auto *self = static_cast<worker *>(argument);
    self->id = GetCurrentThreadId();
    return event_base_loop(self->own_base, EVLOOP_NO_EXIT_ON_EMPTY) != 0;
}

struct evconnlistener *open_listener(struct sockaddr_in *address)
{
    for (worker &each : workers) {
        assert_int_equal(set_up(nullptr), 0);
        each.own_base = base;
        each.accepted = 0;
        each.is_elsewhere = false;
        each.thread = CreateThread(nullptr, 0, work, &each, 0, nullptr);
        assert_non_null(each.thread);
    }
    evutil_socket_t fd = bound(SOCK_STREAM, address);
    struct evconnlistener *listener =
        evconnlistener_new(workers[0].own_base, on_handed, nullptr, LEV_OPT_CLOSE_ON_FREE, SOMAXCONN, fd);
    assert_non_null(listener);
    for (unsigned i = 1; i < bases; ++i)
        assert_int_equal(evconnlistener_iocp_add_base(listener, workers[i].own_base), 0);
    return listener;
}

void close_workers()
{
    for (worker &each : workers) {
        event_base_loopexit(each.own_base, nullptr);
        assert_int_equal(WaitForSingleObject(each.thread, limit_ms), WAIT_OBJECT_0);
        CloseHandle(each.thread);
        event_base_free(each.own_base);
        assert_false(each.is_elsewhere);
    }
}

SOCKET client_of(const struct sockaddr_in &address)
{
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, reinterpret_cast<const struct sockaddr *>(&address), sizeof(address)), 0);
    DWORD limit = limit_ms;
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<char *>(&limit), sizeof(limit));
    return client;
}

bool answers(SOCKET client)
{
    char byte = 'a';
    return send(client, &byte, 1, 0) == 1 && recv(client, &byte, 1, 0) == 1;
}

bool round_is_even(const struct sockaddr_in &address)
{
    static SOCKET clients[connections];
    int sum = 0;
    bool is_even = true;
    for (SOCKET &each : clients)
        each = client_of(address);
    for (SOCKET each : clients)
        assert_true(answers(each));
    for (SOCKET each : clients)
        closesocket(each);
    for (worker &each : workers) {
        int accepted = each.accepted.exchange(0);
        is_even = is_even && accepted >= least && accepted <= most;
        sum += accepted;
    }
    assert_int_equal(sum, connections);
    return is_even;
}

void each_has_its_part(void **)
{
    struct sockaddr_in address;
    struct evconnlistener *listener = open_listener(&address);
    int rounds = 1;
    for (; !round_is_even(address); ++rounds)
        assert_true(rounds < most_rounds);
    evconnlistener_free(listener);
    close_workers();
}

struct freeing {
    struct evconnlistener *listener;
    std::atomic<bool> done;
};

DWORD WINAPI free_listener(void *argument)
{
    auto *self = static_cast<freeing *>(argument);
    evconnlistener_free(self->listener);
    self->done = true;
    return 0;
}

bool comes_true(bool (*condition)())
{
    ULONGLONG end = GetTickCount64() + limit_ms;
    while (!condition() && GetTickCount64() < end)
        SwitchToThread();
    return condition();
}

// After evconnlistener_free has returned, no callback runs, and none begins.
void freed_while_callbacks_run(void **)
{
    struct sockaddr_in address;
    SOCKET clients[bases];
    holds_up = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    struct evconnlistener *listener = open_listener(&address);
    for (SOCKET &each : clients)
        each = client_of(address);
    assert_true(comes_true([] { return running == static_cast<int>(bases); }));
    freeing freed = {listener, {false}};
    HANDLE thread = CreateThread(nullptr, 0, free_listener, &freed, 0, nullptr);
    assert_int_equal(WaitForSingleObject(thread, 200), WAIT_TIMEOUT); // time enough to be wrong in
    assert_false(freed.done);
    SetEvent(holds_up);
    assert_int_equal(WaitForSingleObject(thread, limit_ms), WAIT_OBJECT_0);
    assert_int_equal(running, 0);
    CloseHandle(thread);
    for (SOCKET each : clients)
        assert_true(answers(each));
    for (SOCKET each : clients)
        closesocket(each);
    close_workers();
    CloseHandle(holds_up);
    holds_up = nullptr;
}

// Its own base keeps it enabled or not, and the others come and go, by this thread: while it is enabled each client is
// answered, and nobody is lost who came before it was disabled.
void bases_come_and_go(void **)
{
    struct sockaddr_in address;
    struct evconnlistener *listener = open_listener(&address);
    bool has[bases] = {true, true, true, true};
    unsigned random = 1;
    ULONGLONG end = GetTickCount64() + random_ms;
    int steps = 0;
    for (; GetTickCount64() < end && steps < max_steps; ++steps) {
        random = random * 1103515245 + 12345;
        unsigned which = (random >> 16) % bases, what = (random >> 24) % 4;
        SOCKET before = client_of(address);
        if (what == 0)
            assert_int_equal(evconnlistener_disable(listener), 0);
        if (which != 0) {
            assert_int_equal((has[which] ? evconnlistener_iocp_remove_base
                                         : evconnlistener_iocp_add_base)(listener, workers[which].own_base),
                             0);
            has[which] = !has[which];
        }
        if (what == 1)
            evconnlistener_iocp_set_order(listener, (random & 0x10000) != 0 ? EVCONNLISTENER_IOCP_BY_LOAD
                                                                            : EVCONNLISTENER_IOCP_IN_TURN);
        if (what == 0)
            assert_int_equal(evconnlistener_enable(listener), 0);
        SOCKET after = client_of(address);
        assert_true(answers(before) && answers(after));
        closesocket(before);
        closesocket(after);
    }
    print_message("%d changes\n", steps);
    evconnlistener_free(listener);
    close_workers();
}

} // namespace

// --full: changes at random for a minute.
int main(int argc, char **argv)
{
    random_ms = argc > 1 && strcmp(argv[1], "--full") == 0 ? full_random_ms : short_random_ms;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_part),
        cmocka_unit_test(freed_while_callbacks_run),
        cmocka_unit_test(bases_come_and_go),
    };
    start();
    evthread_use_windows_threads();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
