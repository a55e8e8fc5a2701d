// Bases in threads take no lock that they share on the way of a byte, an event, a timer or a wake-up, but that of the base
// which is woken. Whatever bases of ours share is guarded by slim locks (libevent's own are critical sections;
// tools/check_layout.py knows no other kind), so those that the program takes are counted.
#include <atomic>
#include <initializer_list>

#include "real/real_base.h"
#include "support/imports.h"

using namespace real;

namespace {

constexpr int bases = 8, rounds = 200;
constexpr DWORD limit_ms = deadline_seconds * 1000;

std::atomic<unsigned> locks_taken;
VOID(WINAPI *take_exclusive)(PSRWLOCK);
VOID(WINAPI *take_shared)(PSRWLOCK);

VOID WINAPI counted_exclusive(PSRWLOCK lock)
{
    ++locks_taken;
    take_exclusive(lock);
}

VOID WINAPI counted_shared(PSRWLOCK lock)
{
    ++locks_taken;
    take_shared(lock);
}

// One base and its thread, with a listener on the one socket that all have. A round goes through a bufferevent and
// back, a plain event for reading, one for writing, a timer, and a wake-up of the next base.
struct worker {
    struct event_base *own_base;
    struct bufferevent *client, *server;
    evutil_socket_t plain[2];
    struct evconnlistener *listener;
    struct event *readable, *writable, *timer, *woken, *deadline;
    worker *next;
    int rounds_made, wakes;
    bool in_time;
    HANDLE thread, is_ready, has_ended;
};

worker workers[bases];
evutil_socket_t shared;
HANDLE begin, end; // both of all workers

void sent_back(struct bufferevent *server, void *)
{
    bufferevent_write_buffer(server, bufferevent_get_input(server));
}

void came_back(struct bufferevent *client, void *argument)
{
    auto *self = static_cast<worker *>(argument);
    evbuffer_drain(bufferevent_get_input(client), 1);
    if (send(self->plain[1], "x", 1, 0) != 1)
        event_base_loopbreak(self->own_base); // cmocka fails in its own thread alone: a round is missing
}

void plain_readable(evutil_socket_t fd, short, void *argument)
{
    auto *self = static_cast<worker *>(argument);
    char byte;
    if (recv(fd, &byte, 1, 0) != 1)
        event_base_loopbreak(self->own_base);
    event_add(self->readable, nullptr);
    event_add(self->writable, nullptr);
}

void plain_writable(evutil_socket_t, short, void *argument)
{
    struct timeval at_once = {0, 0};
    event_add(static_cast<worker *>(argument)->timer, &at_once);
}

void timer_due(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<worker *>(argument);
    event_active(self->next->woken, EV_TIMEOUT, 1);
    ++self->rounds_made;
    if (self->rounds_made < rounds)
        bufferevent_write(self->client, "x", 1);
    else if (self->wakes > 0)
        event_base_loopbreak(self->own_base);
}

void count_wake(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<worker *>(argument);
    ++self->wakes;
    if (self->rounds_made == rounds) // it has waited for the one before it
        event_base_loopbreak(self->own_base);
}

void nobody_comes(struct evconnlistener *, evutil_socket_t, struct sockaddr *, int, void *)
{
}

void worker_open(worker *self)
{
    assert_int_equal(set_up(nullptr), 0);
    self->own_base = base;
    evutil_socket_t pair[2];
    make_pair(pair);
    make_pair(self->plain);
    self->client = bufferevent_socket_new(base, pair[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
    self->server = bufferevent_socket_new(base, pair[1], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
    bufferevent_setcb(self->client, came_back, nullptr, nullptr, self);
    bufferevent_setcb(self->server, sent_back, nullptr, nullptr, self);
    bufferevent_enable(self->client, EV_READ);
    bufferevent_enable(self->server, EV_READ);
    self->readable = add(self->plain[0], EV_READ, plain_readable, self);
    self->writable = event_new(base, self->plain[0], EV_WRITE, plain_writable, self);
    self->timer = evtimer_new(base, timer_due, self);
    self->woken = event_new(base, -1, 0, count_wake, self);
    self->listener = evconnlistener_new(base, nobody_comes, nullptr, 0, 10, shared);
    assert_non_null(self->listener);
    self->deadline = evtimer_new(
        base, [](evutil_socket_t, short, void *out) { event_base_loopbreak(static_cast<worker *>(out)->own_base); },
        self);
    struct timeval limit = {deadline_seconds, 0};
    event_add(self->deadline, &limit);
}

void worker_close(worker *self)
{
    for (struct event *each : {self->readable, self->writable, self->timer, self->woken, self->deadline})
        event_free(each);
    bufferevent_free(self->client);
    bufferevent_free(self->server);
    close_pair(self->plain);
    evconnlistener_free(self->listener);
    event_base_free(self->own_base);
    for (HANDLE each : {self->thread, self->is_ready, self->has_ended})
        CloseHandle(each);
}

// What a base does at its beginning and its end is not on the way of a byte: the loop has begun before counting does.
DWORD WINAPI work(void *argument)
{
    auto *self = static_cast<worker *>(argument);
    event_base_loop(self->own_base, EVLOOP_NONBLOCK);
    SetEvent(self->is_ready);
    WaitForSingleObject(begin, INFINITE);
    bufferevent_write(self->client, "x", 1);
    event_base_dispatch(self->own_base);
    self->in_time = evtimer_pending(self->deadline, nullptr) != 0;
    SetEvent(self->has_ended);
    WaitForSingleObject(end, INFINITE);
    return 0;
}

bool all_have(HANDLE worker::*what)
{
    HANDLE handles[bases];
    for (int i = 0; i < bases; ++i)
        handles[i] = workers[i].*what;
    return WaitForMultipleObjects(bases, handles, TRUE, limit_ms) == WAIT_OBJECT_0;
}

void bases_share_no_lock(void **)
{
    begin = CreateEvent(nullptr, TRUE, FALSE, nullptr);
    end = CreateEvent(nullptr, TRUE, FALSE, nullptr);
    struct sockaddr_in address;
    shared = bound(SOCK_STREAM, &address);
    locks_taken = 0;
    for (int i = 0; i < bases; ++i) {
        worker_open(&workers[i]);
        workers[i].next = &workers[(i + 1) % bases];
    }
    assert_true(locks_taken > 0); // those of the beginning: they are seen
    for (worker &each : workers) {
        each.is_ready = CreateEvent(nullptr, TRUE, FALSE, nullptr);
        each.has_ended = CreateEvent(nullptr, TRUE, FALSE, nullptr);
        each.thread = CreateThread(nullptr, 0, work, &each, 0, nullptr);
    }
    assert_true(all_have(&worker::is_ready));
    locks_taken = 0;
    SetEvent(begin);
    assert_true(all_have(&worker::has_ended));
    unsigned counted = locks_taken;
    SetEvent(end);
    assert_true(all_have(&worker::thread));
    for (worker &each : workers) {
        assert_true(each.in_time);
        assert_int_equal(each.rounds_made, rounds);
        assert_true(each.wakes > 0);
        worker_close(&each);
    }
    evutil_closesocket(shared);
    CloseHandle(begin);
    CloseHandle(end);
    assert_int_equal(counted, 0);
}

bool watch()
{
    const wchar_t *kernel = L"kernel32.dll";
    take_exclusive = iocp::exported(take_exclusive, kernel, "AcquireSRWLockExclusive");
    take_shared = iocp::exported(take_shared, kernel, "AcquireSRWLockShared");
    return iocp::replace_import(kernel, "AcquireSRWLockExclusive", counted_exclusive) &&
           iocp::replace_import(kernel, "AcquireSRWLockShared", counted_shared);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bases_share_no_lock)};
    start();
    if (!watch())
        return 1;
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
