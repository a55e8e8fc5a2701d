// event2/iocp_wait.h: waits for handles that Windows can wait for.
#include "own_parts.h"

namespace parity {

namespace {

struct told {
    struct evwait *wait;
    void *handle;
    int count;
    short what;
    bool frees;
};

void on_wait(void *handle, short what, void *argument)
{
    auto *self = static_cast<told *>(argument);
    ++self->count;
    self->what = what;
    self->handle = handle;
    if (self->frees)
        evwait_iocp_free(self->wait);
}

HANDLE new_event(bool stays)
{
    return CreateEventW(nullptr, stays, FALSE, nullptr);
}

bool open_wait(struct event_base *base, told *self, HANDLE handle, short events,
               const struct timeval *timeout = nullptr)
{
    *self = {};
    self->wait = evwait_iocp_new(base, handle, events, on_wait, self);
    REQUIRE(self->wait != nullptr && evwait_iocp_pending(self->wait) == 0);
    REQUIRE(evwait_iocp_add(self->wait, timeout) == 0 && evwait_iocp_pending(self->wait) != 0);
    return true;
}

bool wait_each_signal_is_told_once(struct event_base *base)
{
    told self;
    HANDLE event = new_event(false);
    REQUIRE(open_wait(base, &self, event, EV_PERSIST));
    for (int i = 1; i <= 3; ++i) {
        SetEvent(event);
        REQUIRE(happens(base, [&] { return self.count == i; }));
        some_turns(base);
        REQUIRE(self.count == i && self.what == EV_READ && self.handle == event);
    }
    evwait_iocp_free(self.wait);
    CloseHandle(event);
    return true;
}

void on_timer(evutil_socket_t, short, void *argument)
{
    ++*static_cast<int *>(argument);
}

bool wait_signal_that_stays_leaves_room_for_others(struct event_base *base)
{
    told self;
    int ticks = 0;
    HANDLE event = new_event(true);
    REQUIRE(open_wait(base, &self, event, EV_PERSIST));
    struct event *timer = event_new(base, -1, EV_PERSIST, on_timer, &ticks);
    struct timeval millisecond = {0, 1000};
    event_add(timer, &millisecond);
    SetEvent(event);
    REQUIRE(happens(base, [&] { return self.count >= 5 && ticks >= 5; }));
    ResetEvent(event);
    event_free(timer);
    evwait_iocp_free(self.wait);
    CloseHandle(event);
    return true;
}

// The base has something to wait for until then, and nothing afterwards.
bool wait_ends_with_its_callback_unless_persistent(struct event_base *base)
{
    told self;
    HANDLE event = new_event(true);
    REQUIRE(open_wait(base, &self, event, 0));
    SetEvent(event);
    REQUIRE(event_base_dispatch(base) == 1);
    REQUIRE(self.count == 1 && evwait_iocp_pending(self.wait) == 0);
    REQUIRE(evwait_iocp_add(self.wait, nullptr) == 0);
    REQUIRE(event_base_dispatch(base) == 1);
    REQUIRE(self.count == 2);
    evwait_iocp_free(self.wait);
    CloseHandle(event);
    return true;
}

bool wait_times_out_and_goes_on_if_persistent(struct event_base *base)
{
    told once, always;
    HANDLE event = new_event(false);
    struct timeval soon = {0, 5000};
    REQUIRE(open_wait(base, &once, event, 0, &soon) && open_wait(base, &always, event, EV_PERSIST, &soon));
    REQUIRE(happens(base, [&] { return once.count == 1 && always.count >= 2; }));
    REQUIRE(once.what == EV_TIMEOUT && always.what == EV_TIMEOUT && evwait_iocp_pending(once.wait) == 0);
    SetEvent(event);
    REQUIRE(happens(base, [&] { return (always.what & EV_READ) != 0; }));
    REQUIRE(once.count == 1);
    evwait_iocp_free(once.wait);
    evwait_iocp_free(always.wait);
    CloseHandle(event);
    return true;
}

bool wait_outlives_the_callers_handle(struct event_base *base)
{
    told self;
    HANDLE event = new_event(false), other;
    REQUIRE(DuplicateHandle(GetCurrentProcess(), event, GetCurrentProcess(), &other, 0, FALSE, DUPLICATE_SAME_ACCESS));
    REQUIRE(open_wait(base, &self, event, 0));
    CloseHandle(event);
    SetEvent(other);
    REQUIRE(happens(base, [&] { return self.count == 1; }));
    REQUIRE(self.what == EV_READ && self.handle == event);
    evwait_iocp_free(self.wait);
    CloseHandle(other);
    return true;
}

bool wait_no_callback_after_del_or_free(struct event_base *)
{
    return leaves_nothing([&](struct event_base *base) {
        told deleted, freed, itself;
        HANDLE event = new_event(true);
        REQUIRE(open_wait(base, &deleted, event, EV_PERSIST) && open_wait(base, &freed, event, EV_PERSIST));
        REQUIRE(open_wait(base, &itself, event, EV_PERSIST));
        itself.frees = true;
        SetEvent(event);
        REQUIRE(evwait_iocp_del(deleted.wait) == 0 && evwait_iocp_del(deleted.wait) == 0);
        evwait_iocp_free(freed.wait);
        REQUIRE(happens(base, [&] { return itself.count == 1; }));
        some_turns(base);
        REQUIRE(deleted.count == 0 && freed.count == 0 && itself.count == 1);
        evwait_iocp_free(deleted.wait);
        CloseHandle(event);
        return true;
    });
}

bool wait_is_freed_after_its_base(struct event_base *)
{
    return leaves_nothing([](struct event_base *) {
        told self;
        HANDLE event = new_event(true);
        struct event_base *own = new_base();
        REQUIRE(own != nullptr && open_wait(own, &self, event, EV_PERSIST));
        event_base_free(own);
        SetEvent(event);
        evwait_iocp_free(self.wait);
        REQUIRE(self.count == 0);
        CloseHandle(event);
        return true;
    });
}

int error_of_wait(struct event_base *base, void *handle, short events, evwait_iocp_cb cb)
{
    return error_of([&] { return evwait_iocp_new(base, handle, events, cb, nullptr) != nullptr; });
}

bool wait_refusals(struct event_base *base)
{
    HANDLE event = new_event(false), mutex = CreateMutexW(nullptr, FALSE, nullptr), deaf;
    REQUIRE(DuplicateHandle(GetCurrentProcess(), event, GetCurrentProcess(), &deaf, EVENT_MODIFY_STATE, FALSE, 0));
    REQUIRE(refused_off_the_port(
        [&](struct event_base *on) { return evwait_iocp_new(on, event, 0, on_wait, nullptr) != nullptr; }));
    REQUIRE(error_of_wait(base, event, EV_WRITE, on_wait) == WSAEINVAL);
    REQUIRE(error_of_wait(base, event, 0, nullptr) == WSAEINVAL);
    REQUIRE(error_of_wait(base, nullptr, 0, on_wait) == ERROR_INVALID_HANDLE);
    REQUIRE(error_of_wait(base, INVALID_HANDLE_VALUE, 0, on_wait) == ERROR_INVALID_HANDLE);
    REQUIRE(error_of_wait(base, GetCurrentThread(), 0, on_wait) == ERROR_INVALID_HANDLE);
    REQUIRE(error_of_wait(base, deaf, 0, on_wait) == ERROR_ACCESS_DENIED);
    REQUIRE(error_of_wait(base, mutex, 0, on_wait) == ERROR_INVALID_PARAMETER);
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 0);
    REQUIRE(error_of_wait(base, port, 0, on_wait) == ERROR_INVALID_PARAMETER);
    struct evwait *wait = evwait_iocp_new(base, event, EV_READ | EV_PERSIST, on_wait, nullptr);
    REQUIRE(wait != nullptr && evwait_iocp_priority_set(wait, 0) == 0 && evwait_iocp_priority_set(wait, 1) == -1);
    evwait_iocp_free(wait);
    evwait_iocp_free(nullptr);
    for (HANDLE each : {event, mutex, deaf, port})
        REQUIRE(CloseHandle(each));
    return true;
}

} // namespace

const guarantee wait_guarantees[] = {
    {"wait_each_signal_is_told_once", wait_each_signal_is_told_once},
    {"wait_signal_that_stays_leaves_room_for_others", wait_signal_that_stays_leaves_room_for_others},
    {"wait_ends_with_its_callback_unless_persistent", wait_ends_with_its_callback_unless_persistent},
    {"wait_times_out_and_goes_on_if_persistent", wait_times_out_and_goes_on_if_persistent},
    {"wait_outlives_the_callers_handle", wait_outlives_the_callers_handle},
    {"wait_no_callback_after_del_or_free", wait_no_callback_after_del_or_free},
    {"wait_is_freed_after_its_base", wait_is_freed_after_its_base},
    {"wait_refusals", wait_refusals},
    {nullptr, nullptr},
};

} // namespace parity
