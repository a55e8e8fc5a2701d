// The fake kernel's ports, packets, operations and threads.
#include "support/fake_kernel.h"

#include <algorithm>
#include <limits.h>

namespace iocp {
namespace fake {

void run_due_actions()
{
    for (;;) {
        auto &schedule = k().schedule;
        auto due = schedule.end();
        for (auto it = schedule.begin(); it != schedule.end(); ++it)
            if (it->time <= k().now && (due == schedule.end() || it->time < due->time))
                due = it;
        if (due == schedule.end())
            return;
        std::function<void()> action = std::move(due->action);
        schedule.erase(due);
        action();
    }
}

namespace {

// What was queued to the thread. True: the wait ends for it, with no packet.
bool run_routines()
{
    std::vector<std::function<void()>> routines = std::move(k().routines);
    k().routines.clear();
    for (const std::function<void()> &routine : routines)
        routine();
    return !routines.empty();
}

void take_packet(const packet &taken, OVERLAPPED_ENTRY *entry)
{
    *entry = {taken.key, taken.overlapped, 0, taken.bytes};
    if (!taken.of_operation)
        return;
    auto found = k().operations.find(taken.overlapped);
    if (!found->second.written)
        write_result(&found->second);
    else if (!memory_is_live(found->second))
        complain("memory given to the kernel was freed before the packet");
    entry->Internal = static_cast<ULONG_PTR>(found->second.status);
    k().operations.erase(found);
}

ULONG take_visible(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG max)
{
    ULONG taken = 0;
    // As Windows has it: whoever has dequeued and computes holds a place.
    if (k().computing_threads >= k().files.at(port).max_threads)
        return 0;
    auto &packets = k().packets;
    for (auto it = packets.begin(); it != packets.end() && taken < max;) {
        if (it->port != port || !it->released || it->visible_at > k().now) {
            ++it;
            continue;
        }
        packet next = *it;
        it = packets.erase(it);
        take_packet(next, &entries[taken++]);
    }
    return taken;
}

} // namespace

int64_t next_event(HANDLE port)
{
    int64_t next = INT64_MAX;
    for (const packet &queued : k().packets)
        if (queued.port == port && queued.released)
            next = std::min(next, queued.visible_at);
    for (const scheduled &action : k().schedule)
        next = std::min(next, action.time);
    return next;
}

bool has_visible(HANDLE port)
{
    for (const packet &queued : k().packets)
        if (queued.port == port && queued.released && queued.visible_at <= k().now)
            return true;
    return false;
}

void set_computing_threads(unsigned count)
{
    k().computing_threads = count;
}

void queue_routine(std::function<void()> routine)
{
    k().routines.push_back(std::move(routine));
}

void post_by_program(SOCKET socket, void *overlapped)
{
    const association &to = find_socket(socket)->to;
    if (to.port != nullptr)
        queue_packet({to.port, to.key, 0, static_cast<OVERLAPPED *>(overlapped), false, true, k().now});
}

bool is_port(HANDLE handle)
{
    auto found = k().files.find(handle);
    return found != k().files.end() && found->second.is_port;
}

} // namespace fake

namespace sys {

using namespace fake;

int port_create(HANDLE *port, DWORD max_threads)
{
    int error = enter(call::port_create);
    if (error != 0)
        return error;
    *port = new_handle();
    k().files[*port] = {true, {}, max_threads, false};
    return 0;
}

int port_associate(HANDLE port, HANDLE file, ULONG_PTR key)
{
    int error = enter(call::port_associate);
    if (error != 0)
        return error;
    if (!is_port(port))
        complain("port_associate: the port is closed");
    socket_object *socket = find_socket(reinterpret_cast<SOCKET>(file));
    auto found = k().files.find(file);
    if (socket == nullptr && found == k().files.end())
        return ERROR_INVALID_HANDLE;
    association &to = socket != nullptr ? socket->to : found->second.to;
    if (to.port != nullptr)
        return ERROR_INVALID_PARAMETER;
    to = {port, key, to.skips};
    return 0;
}

int port_post(HANDLE port, ULONG_PTR key, DWORD bytes, OVERLAPPED *overlapped)
{
    int error = enter(call::port_post);
    if (error != 0)
        return error;
    if (!is_port(port)) {
        complain("port_post: the port is closed");
        return ERROR_INVALID_HANDLE;
    }
    queue_packet({port, key, bytes, overlapped, false, true, k().now});
    return 0;
}

int port_dequeue(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG max, int64_t timeout_us, wait_kind kind, ULONG *count)
{
    *count = 0;
    k().waits.push_back(timeout_us);
    k().batch_sizes.push_back(max);
    int error = enter(call::port_dequeue);
    if (error != 0)
        return error;
    if (!is_port(port) || max == 0) {
        complain("port_dequeue: the port is closed, or no packet is wanted");
        return ERROR_INVALID_HANDLE;
    }
    if (timeout_us == 0)
        advance_us(k().look_cost);
    SetLastError(WAIT_TIMEOUT); // as a wait may leave it: no error of before is still there afterwards
    int64_t deadline = INT64_MAX;
    if (timeout_us >= 0 && timeout_us < INT64_MAX - k().now - k().grain)
        deadline = (k().now + timeout_us + k().grain - 1) / k().grain * k().grain;
    for (;;) {
        run_due_actions();
        *count = take_visible(port, entries, max);
        if (*count != 0 || (kind == wait_kind::alertable && run_routines()) || timeout_us == 0)
            return 0;
        int64_t next = std::min(next_event(port), deadline);
        if (next == INT64_MAX) {
            if (!k().running_thread)
                complain("a wait that nothing ends");
            return ERROR_ABANDONED_WAIT_0;
        }
        k().now = std::max(k().now, next);
        if (next == deadline && next_event(port) > deadline)
            return 0;
    }
}

int skip_packet_on_success(HANDLE file, handle_signal when)
{
    int error = enter(call::skip_packet_on_success);
    if (error != 0)
        return error;
    socket_object *socket = find_socket(reinterpret_cast<SOCKET>(file));
    auto found = k().files.find(file);
    if (socket == nullptr && found == k().files.end())
        return ERROR_INVALID_HANDLE;
    (socket != nullptr ? socket->to : found->second.to).skips = true;
    if (socket == nullptr)
        found->second.signals_no_end = when == handle_signal::never;
    return 0;
}

void close_handle(HANDLE handle)
{
    if (close_directory(handle) || k().events.erase(handle) != 0)
        return;
    auto found = k().files.find(handle);
    if (found == k().files.end() || k().startups == 0) {
        complain("a handle is closed twice, or after cleanup");
        return;
    }
    for (const auto &entry : k().operations)
        if (entry.second.to.port == handle || entry.second.file == handle)
            complain("a handle is closed under an operation");
    auto &packets = k().packets;
    auto of_port = [handle](const packet &queued) { return queued.port == handle; };
    packets.erase(std::remove_if(packets.begin(), packets.end(), of_port), packets.end());
    k().files.erase(found);
    k().pipes.erase(handle);
    k().waitables.erase(handle);
}

int thread_start(void (*run)(void *), void *argument, HANDLE *thread)
{
    int error = enter(call::thread_start);
    if (error != 0)
        return error;
    *thread = new_handle();
    k().threads[*thread] = {run, argument};
    return 0;
}

// There is one real thread: another one runs when it is waited for.
bool thread_wait(HANDLE thread, long)
{
    auto found = k().threads.find(thread);
    if (found == k().threads.end()) {
        complain("thread_wait: no such thread");
        return true;
    }
    thread_object waited = found->second;
    k().threads.erase(found);
    k().running_thread = true;
    waited.run(waited.argument);
    k().running_thread = false;
    return true;
}

} // namespace sys
} // namespace iocp
