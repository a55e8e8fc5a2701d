// event2/iocp_wait.h: a handle is waited for as an event is.
#include "handles.h"

#include <vector>

namespace parity {

namespace {

struct told {
    int signals;
    int timeouts;
    struct evwait *frees;
};

void note_wait(void *, short what, void *argument)
{
    auto *self = static_cast<told *>(argument);
    self->signals += (what & EV_READ) != 0;
    self->timeouts += (what & EV_TIMEOUT) != 0;
    if (self->frees != nullptr)
        evwait_iocp_free(self->frees);
    self->frees = nullptr;
}

HANDLE new_event(bool stays_set)
{
    return CreateEventA(nullptr, stays_set, FALSE, nullptr);
}

bool once_or_each_time(struct event_base *base)
{
    for (short events : {short{0}, short{EV_PERSIST}}) {
        told seen = {};
        HANDLE event = new_event(false);
        struct evwait *wait = evwait_iocp_new(base, event, events, note_wait, &seen);
        REQUIRE(wait != nullptr && evwait_iocp_add(wait, nullptr) == 0);
        some_turns(base);
        REQUIRE(seen.signals == 0);
        for (int i = 1; i <= 3; ++i) {
            SetEvent(event);
            int expected = events == 0 ? 1 : i;
            REQUIRE(run_until(base, [&] { return seen.signals == expected; }));
            some_turns(base);
            REQUIRE(seen.signals == expected && seen.timeouts == 0);
        }
        REQUIRE(evwait_iocp_pending(wait) == (events != 0));
        evwait_iocp_free(wait);
        CloseHandle(event);
    }
    return true;
}

bool each_count_of_a_semaphore(struct event_base *base)
{
    constexpr LONG many = 50;
    told seen = {};
    HANDLE semaphore = CreateSemaphoreA(nullptr, 0, many, nullptr);
    struct evwait *wait = evwait_iocp_new(base, semaphore, EV_PERSIST, note_wait, &seen);
    REQUIRE(wait != nullptr && evwait_iocp_add(wait, nullptr) == 0);
    ReleaseSemaphore(semaphore, many, nullptr);
    REQUIRE(run_until(base, [&] { return seen.signals == many; }));
    some_turns(base);
    REQUIRE(seen.signals == many);
    evwait_iocp_free(wait);
    CloseHandle(semaphore);
    return true;
}

bool a_timeout_is_told(struct event_base *base)
{
    told seen = {};
    HANDLE event = new_event(true);
    struct evwait *wait = evwait_iocp_new(base, event, 0, note_wait, &seen);
    struct timeval shortly = {0, 20 * 1000};
    REQUIRE(wait != nullptr && evwait_iocp_add(wait, &shortly) == 0);
    REQUIRE(run_until(base, [&] { return seen.timeouts == 1; }));
    REQUIRE(seen.signals == 0 && !evwait_iocp_pending(wait));
    evwait_iocp_free(wait);
    CloseHandle(event);
    return true;
}

bool nothing_is_told_after_del_or_free(struct event_base *base)
{
    told seen = {};
    HANDLE event = new_event(true);
    struct evwait *wait = evwait_iocp_new(base, event, EV_PERSIST, note_wait, &seen);
    for (int i = 0; i < 100; ++i) {
        REQUIRE(evwait_iocp_add(wait, nullptr) == 0);
        SetEvent(event); // its packet may be on the way
        evwait_iocp_del(wait);
        if (i % 10 == 0)
            some_turns(base);
        ResetEvent(event);
    }
    REQUIRE(evwait_iocp_add(wait, nullptr) == 0);
    SetEvent(event);
    evwait_iocp_free(wait);
    CloseHandle(event);
    some_turns(base);
    REQUIRE(seen.signals == 0);
    return true;
}

bool may_be_freed_in_its_callback(struct event_base *base)
{
    told seen = {};
    HANDLE event = new_event(true); // and stays set
    seen.frees = evwait_iocp_new(base, event, EV_PERSIST, note_wait, &seen);
    REQUIRE(seen.frees != nullptr && evwait_iocp_add(seen.frees, nullptr) == 0);
    SetEvent(event);
    REQUIRE(run_until(base, [&] { return seen.signals == 1; }));
    some_turns(base);
    REQUIRE(seen.signals == 1);
    CloseHandle(event);
    return true;
}

// More than one thread of Windows' waits for.
bool two_hundred_at_once_leave_nothing(struct event_base *base)
{
    constexpr size_t many = 200;
    DWORD before = 0;
    for (int round = 0; round < 3; ++round) {
        told seen = {};
        std::vector<HANDLE> events;
        std::vector<struct evwait *> waits;
        for (size_t i = 0; i < many; ++i) {
            events.push_back(new_event(false));
            waits.push_back(evwait_iocp_new(base, events[i], 0, note_wait, &seen));
            REQUIRE(waits[i] != nullptr && evwait_iocp_add(waits[i], nullptr) == 0);
        }
        for (HANDLE each : events)
            SetEvent(each);
        REQUIRE(run_until(base, [&] { return seen.signals == static_cast<int>(many); }));
        for (size_t i = 0; i < many; ++i) {
            evwait_iocp_free(waits[i]);
            CloseHandle(events[i]);
        }
        some_turns(base);
        if (round == 0) // Windows' own threads are there from now on
            before = handles_open();
    }
    REQUIRE(run_until(base, [&] { return handles_open() <= before; }));
    return true;
}

bool what_cannot_be_waited_for_is_refused(struct event_base *base)
{
    HANDLE mutex = CreateMutexA(nullptr, FALSE, nullptr), event = new_event(false);
    REQUIRE(is_refused(evwait_iocp_new(base, mutex, 0, note_wait, nullptr), ERROR_INVALID_PARAMETER));
    REQUIRE(is_refused(evwait_iocp_new(base, nullptr, 0, note_wait, nullptr), ERROR_INVALID_HANDLE));
    REQUIRE(is_refused(evwait_iocp_new(base, GetCurrentProcess(), 0, note_wait, nullptr), ERROR_INVALID_HANDLE));
    struct event_base *other = select_base();
    REQUIRE(is_refused(evwait_iocp_new(other, event, 0, note_wait, nullptr), WSAEOPNOTSUPP));
    REQUIRE(is_refused(evwait_iocp_new(nullptr, event, 0, note_wait, nullptr), WSAEOPNOTSUPP));
    REQUIRE(is_refused(evwait_iocp_new(base, event, 0, nullptr, nullptr), WSAEINVAL));
    event_base_free(other);
    CloseHandle(event);
    CloseHandle(mutex);
    return true;
}

} // namespace

const guarantee wait_guarantees[] = {
    {"wait_once_or_each_time", once_or_each_time},
    {"wait_each_count_of_a_semaphore", each_count_of_a_semaphore},
    {"wait_a_timeout_is_told", a_timeout_is_told},
    {"wait_nothing_is_told_after_del_or_free", nothing_is_told_after_del_or_free},
    {"wait_may_be_freed_in_its_callback", may_be_freed_in_its_callback},
    {"wait_two_hundred_at_once_leave_nothing", two_hundred_at_once_leave_nothing},
    {"wait_what_cannot_be_waited_for_is_refused", what_cannot_be_waited_for_is_refused},
    {nullptr, nullptr},
};

} // namespace parity
