// The kernel's door: events, and waiting for a handle. What a base inside another loop needs.
#include "compat/sys.h"
#include "compat/sys_error.h"

namespace iocp {
namespace sys {

namespace {

// A thread's own wait for a port is in no list of Microsoft's. What may go wrong: the wait is refused; it does not end; or
// it takes the packet away, as whoever waits for a kernel's queue was once handed the entry itself.
struct wait_trial {
    HANDLE port;
    HANDLE begins;
    DWORD result;
};

// Sets `begins` and waits at once, so that who sees it set knows that the wait has begun.
void trial_wait(void *argument)
{
    auto *self = static_cast<wait_trial *>(argument);
    self->result = SignalObjectAndWait(self->begins, self->port, wait_trial_ms, FALSE);
}

bool trial_port_is_empty(HANDLE port)
{
    return WaitForSingleObject(port, 0) == WAIT_TIMEOUT;
}

// Signalled, as often as one looks, and the packet is there: once.
bool trial_port_has_one(HANDLE port)
{
    OVERLAPPED_ENTRY entries[2];
    ULONG count = 0;
    bool is_signalled = WaitForSingleObject(port, 0) == WAIT_OBJECT_0 && WaitForSingleObject(port, 0) == WAIT_OBJECT_0;
    return is_signalled && port_dequeue(port, entries, 2, 0, wait_kind::plain, &count) == 0 && count == 1 &&
           trial_port_is_empty(port);
}

bool trial_run(wait_trial *self)
{
    HANDLE thread;
    OVERLAPPED record = {};
    if (!trial_port_is_empty(self->port) || port_post(self->port, 0, 0, &record) != 0 ||
        !trial_port_has_one(self->port) || thread_start(trial_wait, self, &thread) != 0)
        return false;
    bool has_begun = wait_for(self->begins, wait_trial_ms);
    int error = port_post(self->port, 0, 0, &record);
    thread_wait(thread, -1);
    return has_begun && error == 0 && self->result == WAIT_OBJECT_0 && trial_port_has_one(self->port);
}

} // namespace

int event_create(bool stays_set, HANDLE *event)
{
    *event = CreateEventW(nullptr, stays_set, FALSE, nullptr);
    return *event != nullptr ? 0 : last_win32_code();
}

void event_set(HANDLE event)
{
    SetEvent(event);
}

void event_reset(HANDLE event)
{
    ResetEvent(event);
}

bool wait_for(HANDLE handle, long wait_ms)
{
    return WaitForSingleObject(handle, wait_ms < 0 ? INFINITE : static_cast<DWORD>(wait_ms)) == WAIT_OBJECT_0;
}

bool ports_can_be_waited_for()
{
    wait_trial trial = {nullptr, nullptr, WAIT_FAILED};
    if (port_create(&trial.port, 0) != 0)
        return false;
    bool works = event_create(false, &trial.begins) == 0 && trial_run(&trial);
    if (trial.begins != nullptr)
        close_handle(trial.begins);
    close_handle(trial.port);
    return works;
}

} // namespace sys
} // namespace iocp
