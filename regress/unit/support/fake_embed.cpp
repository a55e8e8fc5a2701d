// The fake kernel's events, and waits for a handle.
#include "support/fake_embed.h"
#include "support/fake_kernel.h"

#include <algorithm>
#include <limits.h>

namespace iocp {
namespace fake {

namespace {

event_object *find_event(HANDLE handle)
{
    auto found = k().events.find(handle);
    if (found == k().events.end()) {
        complain("an event is used that is not there");
        return nullptr;
    }
    return &found->second;
}

bool any_visible()
{
    for (const auto &file : k().files)
        if (file.second.is_port && has_visible(file.first))
            return true;
    return false;
}

// Threads that wait for a packet go on when there is one; they run until they wait for an event.
void run_threads()
{
    if (k().running_thread || !any_visible())
        return;
    k().running_thread = true;
    for (const auto &entry : std::map<HANDLE, thread_object>(k().threads))
        entry.second.run(entry.second.argument);
    k().running_thread = false;
}

int64_t next_event_anywhere()
{
    int64_t next = INT64_MAX;
    for (const auto &file : k().files)
        if (file.second.is_port)
            next = std::min(next, next_event(file.first));
    return next;
}

bool ends_wait(HANDLE handle)
{
    if (is_port(handle))
        return has_visible(handle);
    run_threads();
    const event_object *event = find_event(handle);
    return event == nullptr || event->set;
}

// The order in which threads run is not known: one that could have run has not, every other time.
bool thread_is_slow()
{
    k().slow_thread = !k().slow_thread;
    return k().slow_thread;
}

} // namespace

void start_events()
{
}

size_t events_open()
{
    return k().events.size();
}

bool wait_outside(HANDLE handle, unsigned long wait_ms)
{
    int64_t deadline = INT64_MAX;
    if (wait_ms != INFINITE)
        deadline = (k().now + static_cast<int64_t>(wait_ms) * 1000 + k().grain - 1) / k().grain * k().grain;
    for (;;) {
        run_due_actions();
        if (ends_wait(handle))
            return true;
        int64_t next = std::min(next_event_anywhere(), deadline);
        if (next == INT64_MAX) {
            complain("the outer loop waits for what never comes");
            return false;
        }
        bool is_over = next == deadline && next_event_anywhere() > deadline;
        k().now = std::max(k().now, next);
        if (is_over)
            return false;
    }
}

bool wait_in_pool(HANDLE handle, unsigned long wait_ms)
{
    if (is_port(handle))
        complain("a thread pool waits for a port");
    return wait_outside(handle, wait_ms);
}

} // namespace fake

namespace sys {

using namespace fake;

int event_create(bool stays_set, HANDLE *event)
{
    int error = enter(call::event_create);
    if (error != 0)
        return error;
    *event = new_handle();
    k().events[*event] = {stays_set, false};
    return 0;
}

void event_set(HANDLE handle)
{
    event_object *event = find_event(handle);
    if (event != nullptr)
        event->set = true;
}

void event_reset(HANDLE handle)
{
    event_object *event = find_event(handle);
    if (event != nullptr)
        event->set = false;
}

bool wait_for(HANDLE handle, long wait_ms)
{
    event_object *event = find_event(handle);
    if (event == nullptr)
        return false;
    if (!event->set && !k().running_thread && (wait_ms != 0 || !thread_is_slow()))
        run_threads();
    while (!event->set && !k().running_thread && wait_ms < 0) {
        int64_t next = next_event_anywhere();
        if (next == INT64_MAX) {
            complain("a wait for an event that nobody sets");
            return false;
        }
        k().now = std::max(k().now, next);
        run_threads();
    }
    bool was_set = event->set;
    event->set = was_set && event->stays_set;
    return was_set;
}

bool ports_can_be_waited_for()
{
    return true;
}

} // namespace sys
} // namespace iocp
