// event2/iocp_embed.h: a base runs inside another loop, which waits for its handle.
#include "handles.h"

namespace parity {

namespace {

struct embedded {
    struct event_base *base;
    HANDLE handle;
    unsigned long wait_ms;
    int by_handle; // sleeps of the outer loop that its handle has ended
    int by_time;
};

bool embed(struct event_base *base, embedded *into)
{
    *into = {};
    into->base = base;
    into->handle = event_base_iocp_get_handle(base);
    return into->handle != nullptr;
}

// The outer loop, until that holds. False: it took too long, or the run is over.
template <class Condition> bool outer_loop(embedded *self, Condition condition)
{
    constexpr int rounds = 20000;
    for (int i = 0; i < rounds && !condition(); ++i) {
        if (event_base_iocp_run(self->base, EVLOOP_NO_EXIT_ON_EMPTY, &self->wait_ms) != 1)
            return false;
        if (condition())
            break;
        DWORD wait_ms = self->wait_ms < deadline_ms ? static_cast<DWORD>(self->wait_ms) : deadline_ms;
        bool came = WaitForSingleObject(self->handle, wait_ms) == WAIT_OBJECT_0;
        ++(came ? self->by_handle : self->by_time);
        if (!came && wait_ms == deadline_ms)
            return false;
    }
    return condition();
}

void count_call(evutil_socket_t, short, void *argument)
{
    ++*static_cast<int *>(argument);
}

bool echoes_need_no_timer(struct event_base *base)
{
    constexpr size_t length = 300 * 1000;
    embedded in;
    record one;
    REQUIRE(embed(base, &in) && open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ | EV_WRITE);
    for (int round = 0; round < 100; ++round) {
        size_t before = one.data.size();
        peer_send(&one.on, 100, 1);
        REQUIRE(outer_loop(&in, [&] { return one.data.size() == before + 100; }));
    }
    std::string much = pattern(5, 0, length), got;
    bufferevent_write(one.bev, much.data(), length);
    REQUIRE(outer_loop(&in, [&] {
        while (got.size() < length && peer_receive(&one.on, &got))
            continue;
        return got.size() >= length;
    }));
    REQUIRE(got == much && in.by_time == 0);
    REQUIRE(event_base_iocp_end_run(base) == 0);
    close_pair(&one);
    return true;
}

bool the_wait_is_to_the_next_timer(struct event_base *base)
{
    embedded in;
    int calls = 0;
    struct event *timer = evtimer_new(base, count_call, &calls);
    struct timeval shortly = {0, 30 * 1000};
    REQUIRE(embed(base, &in) && event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &in.wait_ms) == 1);
    REQUIRE(in.wait_ms == INFINITE);
    evtimer_add(timer, &shortly);
    REQUIRE(event_base_iocp_run(base, 0, &in.wait_ms) == 1 && in.wait_ms <= 30);
    REQUIRE(outer_loop(&in, [&] { return calls == 1; }));
    event_free(timer);
    REQUIRE(event_base_iocp_end_run(base) == 0);
    return true;
}

DWORD WINAPI activate(void *event)
{
    event_active(static_cast<struct event *>(event), EV_READ, 1);
    return 0;
}

bool another_thread_ends_the_wait(struct event_base *base)
{
    embedded in;
    int calls = 0;
    struct event *told = event_new(base, -1, 0, count_call, &calls);
    REQUIRE(embed(base, &in));
    for (int i = 1; i <= 20; ++i) {
        REQUIRE(event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &in.wait_ms) == 1);
        HANDLE thread = CreateThread(nullptr, 0, activate, told, 0, nullptr);
        REQUIRE(WaitForSingleObject(in.handle, deadline_ms) == WAIT_OBJECT_0);
        REQUIRE(outer_loop(&in, [&] { return calls == i; }));
        REQUIRE(WaitForSingleObject(thread, deadline_ms) == WAIT_OBJECT_0 && CloseHandle(thread));
    }
    event_free(told);
    REQUIRE(event_base_iocp_end_run(base) == 0);
    return true;
}

struct asked_within {
    struct event_base *base;
    int answer;
    int error;
};

void run_within(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<asked_within *>(argument);
    unsigned long wait_ms;
    self->answer = event_base_iocp_run(self->base, 0, &wait_ms);
    self->error = EVUTIL_SOCKET_ERROR();
}

bool it_ends_as_a_loop_does(struct event_base *base)
{
    embedded in;
    REQUIRE(embed(base, &in));
    REQUIRE(event_base_iocp_run(base, 0, &in.wait_ms) == 0); // there is nothing to wait for
    REQUIRE(event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &in.wait_ms) == 1);
    event_base_loopbreak(base); // between two calls
    REQUIRE(event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &in.wait_ms) == 0 && event_base_got_break(base));
    REQUIRE(event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &in.wait_ms) == 1); // another one
    event_base_loopexit(base, nullptr);
    REQUIRE(event_base_iocp_run(base, EVLOOP_NO_EXIT_ON_EMPTY, &in.wait_ms) == 0 && event_base_got_exit(base));
    some_turns(base); // by its own loop
    return true;
}

bool what_cannot_be_embedded_is_refused(struct event_base *base)
{
    unsigned long wait_ms;
    asked_within within = {base, 0, 0};
    struct event *asks = evtimer_new(base, run_within, &within);
    struct timeval now = {0, 0};
    evtimer_add(asks, &now);
    REQUIRE(event_base_iocp_run(base, 0, &wait_ms) >= 0);
    REQUIRE(within.answer == -1 && within.error == WSAEINPROGRESS);
    event_free(asks);
    event_base_iocp_end_run(base);
    REQUIRE(event_base_iocp_run(base, EVLOOP_ONCE, &wait_ms) == -1 && EVUTIL_SOCKET_ERROR() == WSAEINVAL);
    REQUIRE(event_base_iocp_run(base, 0, nullptr) == -1 && EVUTIL_SOCKET_ERROR() == WSAEINVAL);
    struct event_base *other = select_base();
    REQUIRE(is_refused(event_base_iocp_get_handle(other), WSAEOPNOTSUPP));
    REQUIRE(event_base_iocp_run(other, 0, &wait_ms) == -1 && EVUTIL_SOCKET_ERROR() == WSAEOPNOTSUPP);
    REQUIRE(event_base_iocp_end_run(other) == -1 && EVUTIL_SOCKET_ERROR() == WSAEOPNOTSUPP);
    event_base_free(other);
    REQUIRE(is_refused(event_base_iocp_get_handle(nullptr), WSAEOPNOTSUPP));
    REQUIRE(event_base_iocp_run(nullptr, 0, &wait_ms) == -1 && EVUTIL_SOCKET_ERROR() == WSAEOPNOTSUPP);
    REQUIRE(event_base_iocp_end_run(nullptr) == -1 && EVUTIL_SOCKET_ERROR() == WSAEOPNOTSUPP);
    return true;
}

} // namespace

const guarantee embedding_guarantees[] = {
    {"embedding_echoes_need_no_timer", echoes_need_no_timer},
    {"embedding_the_wait_is_to_the_next_timer", the_wait_is_to_the_next_timer},
    {"embedding_another_thread_ends_the_wait", another_thread_ends_the_wait},
    {"embedding_it_ends_as_a_loop_does", it_ends_as_a_loop_does},
    {"embedding_what_cannot_be_embedded_is_refused", what_cannot_be_embedded_is_refused},
    {nullptr, nullptr},
};

} // namespace parity
