// event2/iocp_embed.h: a base inside somebody else's loop, which here waits for the base's handle alone.
#include "own_parts.h"

namespace parity {

namespace {

constexpr int keep = EVLOOP_NO_EXIT_ON_EMPTY;
constexpr unsigned long untouched = 7;

struct calls {
    struct event_base *base;
    struct event *event;
    int count;
    bool again;
    int run_error, end_error;
};

void on_event(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<calls *>(argument);
    ++self->count;
    struct timeval at_once = {0, 0};
    if (self->again)
        event_add(self->event, &at_once);
}

struct event *open_event(struct event_base *base, calls *self, event_callback_fn callback = on_event)
{
    *self = {};
    self->base = base;
    self->event = event_new(base, -1, EV_READ, callback, self);
    return self->event;
}

// The outer loop, until it holds: a wait that only a time-out ends has failed, but for a timer.
template <class Condition> bool embedded_until(struct event_base *base, Condition condition)
{
    HANDLE handle = event_base_iocp_get_handle(base);
    for (ULONGLONG end = GetTickCount64() + deadline_ms; GetTickCount64() < end;) {
        unsigned long wait_ms;
        REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1);
        if (condition())
            return true;
        WaitForSingleObject(handle, wait_ms < deadline_ms ? wait_ms : deadline_ms);
    }
    return condition();
}

void CALLBACK set_by_pool(void *event, BOOLEAN)
{
    SetEvent(event);
}

DWORD WINAPI make_active(void *event)
{
    event_active(static_cast<struct event *>(event), EV_READ, 1);
    return 0;
}

bool embedding_handle_is_signalled_by_other_threads(struct event_base *base)
{
    calls self;
    unsigned long wait_ms;
    void *handle = event_base_iocp_get_handle(base);
    REQUIRE(handle != nullptr && open_event(base, &self) != nullptr);
    for (int i = 1; i <= 20; ++i) {
        REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1 && wait_ms == INFINITE);
        HANDLE thread = CreateThread(nullptr, 0, make_active, self.event, 0, nullptr);
        REQUIRE(WaitForSingleObject(handle, deadline_ms) == WAIT_OBJECT_0);
        REQUIRE(WaitForSingleObject(handle, 0) == WAIT_OBJECT_0); // stays so
        REQUIRE(WaitForSingleObject(thread, deadline_ms) == WAIT_OBJECT_0);
        REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1 && self.count == i);
        REQUIRE(event_base_iocp_get_handle(base) == handle);
        CloseHandle(thread);
    }
    event_free(self.event);
    return true;
}

bool embedding_handle_is_signalled_by_packets(struct event_base *base)
{
    record one;
    unsigned long wait_ms;
    void *handle = event_base_iocp_get_handle(base);
    REQUIRE(handle != nullptr && open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    REQUIRE(event_base_iocp_run(base, 0, &wait_ms) == 1 && wait_ms == INFINITE);
    REQUIRE(send(one.on.far_end, "bytes", 5, 0) == 5);
    REQUIRE(WaitForSingleObject(handle, deadline_ms) == WAIT_OBJECT_0);
    REQUIRE(embedded_until(base, [&] { return one.data == "bytes"; }));
    REQUIRE(!one.wrong_thread);
    close_pair(&one);
    return true;
}

bool embedding_waits_until_the_next_timer(struct event_base *base)
{
    calls late, soon;
    struct timeval hundred_seconds = {100, 0}, ten_milliseconds = {0, 10 * 1000};
    unsigned long wait_ms;
    REQUIRE(open_event(base, &late) != nullptr && open_event(base, &soon) != nullptr);
    event_add(late.event, &hundred_seconds);
    REQUIRE(event_base_iocp_run(base, 0, &wait_ms) == 1 && wait_ms > 0 && wait_ms <= 100 * 1000);
    event_add(soon.event, &ten_milliseconds);
    REQUIRE(event_base_iocp_run(base, 0, &wait_ms) == 1 && wait_ms <= 10);
    REQUIRE(embedded_until(base, [&] { return soon.count == 1; }));
    REQUIRE(late.count == 0);
    event_free(late.event);
    event_free(soon.event);
    return true;
}

bool embedding_outer_loop_has_its_turn(struct event_base *base)
{
    calls self;
    unsigned long wait_ms;
    REQUIRE(open_event(base, &self) != nullptr);
    self.again = true;
    event_active(self.event, EV_READ, 1);
    for (int i = 1; i <= 3; ++i) {
        REQUIRE(event_base_iocp_run(base, 0, &wait_ms) == 1 && wait_ms == 0);
        REQUIRE(self.count >= i && self.count <= i * EVENT_IOCP_MAX_TURNS_A_RUN);
    }
    event_free(self.event);
    return true;
}

bool embedding_run_ends_as_a_loop_does(struct event_base *base)
{
    unsigned long wait_ms = untouched;
    REQUIRE(event_base_iocp_run(base, 0, &wait_ms) == 0 && wait_ms == untouched);
    for (bool breaks : {true, false}) {
        REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1);
        REQUIRE((breaks ? event_base_loopbreak(base) : event_base_loopexit(base, nullptr)) == 0);
        wait_ms = untouched;
        REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 0 && wait_ms == untouched);
        REQUIRE((event_base_got_break(base) != 0) == breaks && (event_base_got_exit(base) != 0) == !breaks);
    }
    return true;
}

// Nothing is lost by it.
bool embedding_run_is_ended_for_the_bases_own_loop(struct event_base *base)
{
    calls self;
    unsigned long wait_ms;
    REQUIRE(event_base_iocp_end_run(base) == 0 && open_event(base, &self) != nullptr);
    REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1);
    REQUIRE(event_base_loop(base, EVLOOP_NONBLOCK) == -1);
    event_active(self.event, EV_READ, 1);
    REQUIRE(event_base_iocp_end_run(base) == 0 && self.count == 0);
    REQUIRE(event_base_loop(base, EVLOOP_NONBLOCK) >= 0 && self.count == 1);
    REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1);
    event_free(self.event);
    return true;
}

bool embedding_base_freed_in_a_run_leaves_nothing(struct event_base *)
{
    return leaves_nothing([](struct event_base *) {
        struct event_base *own = new_base();
        record one;
        unsigned long wait_ms;
        REQUIRE(own != nullptr && event_base_iocp_get_handle(own) != nullptr);
        REQUIRE(open_pair(own, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ);
        REQUIRE(event_base_iocp_run(own, 0, &wait_ms) == 1);
        close_pair(&one);
        event_base_free(own);
        return true;
    });
}

bool embedding_event_is_for_a_pool_and_for_all_of_several(struct event_base *base)
{
    calls self;
    unsigned long wait_ms;
    void *event = event_base_iocp_get_event(base);
    REQUIRE(event != nullptr && event_base_iocp_get_handle(base) == event && event_base_iocp_get_event(base) == event);
    HANDLE both[] = {event, CreateEventW(nullptr, TRUE, TRUE, nullptr)};
    REQUIRE(open_event(base, &self) != nullptr);
    for (int i = 1; i <= 5; ++i) {
        HANDLE wait, woken = CreateEventW(nullptr, TRUE, FALSE, nullptr);
        REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1 && wait_ms == INFINITE);
        REQUIRE(RegisterWaitForSingleObject(&wait, event, set_by_pool, woken, INFINITE, WT_EXECUTEONLYONCE));
        HANDLE thread = CreateThread(nullptr, 0, make_active, self.event, 0, nullptr);
        REQUIRE(WaitForMultipleObjects(2, both, TRUE, deadline_ms) == WAIT_OBJECT_0);
        REQUIRE(WaitForSingleObject(woken, deadline_ms) == WAIT_OBJECT_0);
        REQUIRE(UnregisterWaitEx(wait, INVALID_HANDLE_VALUE));
        REQUIRE(WaitForSingleObject(thread, deadline_ms) == WAIT_OBJECT_0);
        REQUIRE(embedded_until(base, [&] { return self.count == i; }));
        CloseHandle(thread);
        CloseHandle(woken);
    }
    CloseHandle(both[1]);
    event_free(self.event);
    return true;
}

bool embedding_first_getter_decides(struct event_base *)
{
    return leaves_nothing([](struct event_base *) {
        struct event_base *own = new_base();
        void *handle = event_base_iocp_get_handle(own);
        REQUIRE(handle != nullptr);
        void *event = event_base_iocp_get_event(own);
        REQUIRE(event == handle || (event == nullptr && WSAGetLastError() == WSAEALREADY));
        REQUIRE(event_base_iocp_get_handle(own) == handle);
        event_base_free(own);
        return true;
    });
}

int error_of_run(struct event_base *base, int flags, unsigned long *wait_ms)
{
    return error_of([&] { return event_base_iocp_run(base, flags, wait_ms) != -1; });
}

int error_of_end(struct event_base *base)
{
    return error_of([&] { return event_base_iocp_end_run(base) == 0; });
}

void run_within(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<calls *>(argument);
    unsigned long wait_ms;
    ++self->count;
    self->run_error = error_of_run(self->base, keep, &wait_ms);
    self->end_error = error_of_end(self->base);
}

DWORD WINAPI run_elsewhere(void *base)
{
    unsigned long wait_ms;
    return static_cast<DWORD>(error_of_run(static_cast<struct event_base *>(base), keep, &wait_ms));
}

bool embedding_refusals(struct event_base *base)
{
    calls self;
    unsigned long wait_ms = untouched;
    REQUIRE(refused_off_the_port([](struct event_base *on) { return event_base_iocp_get_handle(on) != nullptr; }));
    REQUIRE(refused_off_the_port([](struct event_base *on) { return event_base_iocp_get_event(on) != nullptr; }));
    REQUIRE(refused_off_the_port([&](struct event_base *on) { return event_base_iocp_run(on, 0, &wait_ms) != -1; }));
    REQUIRE(refused_off_the_port([](struct event_base *on) { return event_base_iocp_end_run(on) == 0; }));
    REQUIRE(error_of_run(base, EVLOOP_ONCE, &wait_ms) == WSAEINVAL && wait_ms == untouched);
    REQUIRE(error_of_run(base, 0, nullptr) == WSAEINVAL);
    REQUIRE(open_event(base, &self, run_within) != nullptr);
    event_active(self.event, EV_READ, 1);
    REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1 && self.count == 1);
    REQUIRE(self.run_error == WSAEINPROGRESS && self.end_error == WSAEINPROGRESS);
    DWORD error = 0;
    HANDLE thread = CreateThread(nullptr, 0, run_elsewhere, base, 0, nullptr);
    REQUIRE(WaitForSingleObject(thread, deadline_ms) == WAIT_OBJECT_0 && GetExitCodeThread(thread, &error));
    REQUIRE(error == WSAEINPROGRESS);
    CloseHandle(thread);
    REQUIRE(event_base_iocp_run(base, keep, &wait_ms) == 1); // it goes on
    event_free(self.event);
    return true;
}

} // namespace

const guarantee embedding_guarantees[] = {
    {"embedding_handle_is_signalled_by_other_threads", embedding_handle_is_signalled_by_other_threads},
    {"embedding_handle_is_signalled_by_packets", embedding_handle_is_signalled_by_packets},
    {"embedding_waits_until_the_next_timer", embedding_waits_until_the_next_timer},
    {"embedding_outer_loop_has_its_turn", embedding_outer_loop_has_its_turn},
    {"embedding_run_ends_as_a_loop_does", embedding_run_ends_as_a_loop_does},
    {"embedding_run_is_ended_for_the_bases_own_loop", embedding_run_is_ended_for_the_bases_own_loop},
    {"embedding_base_freed_in_a_run_leaves_nothing", embedding_base_freed_in_a_run_leaves_nothing},
    {"embedding_event_is_for_a_pool_and_for_all_of_several", embedding_event_is_for_a_pool_and_for_all_of_several},
    {"embedding_first_getter_decides", embedding_first_getter_decides},
    {"embedding_refusals", embedding_refusals},
    {nullptr, nullptr},
};

} // namespace parity
