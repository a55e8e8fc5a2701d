// The fake kernel's operations: from the call that starts one to its packet.
#include "support/fake_kernel.h"

#include <algorithm>

#include "support/guard.h"

namespace iocp {
namespace fake {

void queue_packet(const packet &queued)
{
    auto place = k().packets.end();
    if (happens(k().odds.reordered) && !k().packets.empty())
        place = k().packets.begin() + static_cast<ptrdiff_t>(random() % k().packets.size());
    k().packets.insert(place, queued);
}

namespace {

void queue_packet_of(const operation &ended)
{
    if (!is_port(ended.to.port)) {
        complain("an operation ends on a port that is closed");
        return;
    }
    int64_t delay = 0;
    if (happens(k().odds.delayed) && k().odds.max_delay_us > 0)
        delay = static_cast<int64_t>(random() % static_cast<uint64_t>(k().odds.max_delay_us));
    queue_packet(
        {ended.to.port, ended.to.key, ended.bytes, ended.overlapped, true, !k().hold_packets, k().now + delay});
}

void stop_waiting(const operation &ended)
{
    socket_object *socket = find_socket(ended.socket);
    if (socket == nullptr)
        return;
    auto &waiting = socket->waiting;
    waiting.erase(std::remove(waiting.begin(), waiting.end(), ended.overlapped), waiting.end());
}

bool release_one(bool first)
{
    auto &packets = k().packets;
    auto held = [](const packet &queued) { return !queued.released; };
    if (first) {
        auto found = std::find_if(packets.begin(), packets.end(), held);
        if (found == packets.end())
            return false;
        found->released = true;
        return true;
    }
    auto found = std::find_if(packets.rbegin(), packets.rend(), held);
    if (found == packets.rend())
        return false;
    found->released = true;
    return true;
}

} // namespace

bool memory_is_live(const operation &of)
{
    bool live = guard::is_live(of.overlapped, sizeof(OVERLAPPED)) &&
                (of.info == nullptr || guard::is_live(of.info, sizeof(*of.info)));
    for (const WSABUF &buffer : of.buffers)
        live = live && (buffer.len == 0 || guard::is_live(buffer.buf, buffer.len));
    return live;
}

// The kernel's write into the caller's memory.
void write_result(operation *ended)
{
    if (!memory_is_live(*ended)) {
        complain("memory given to the kernel was freed before the packet");
        return;
    }
    ended->overlapped->Internal = static_cast<ULONG_PTR>(ended->status);
    ended->overlapped->InternalHigh = ended->bytes;
    // After a failure the event field is left as it was, stale.
    if (ended->info != nullptr && ended->status == status_success) {
        ended->info->count = ended->events != 0 ? 1 : 0;
        ended->info->events = ended->events;
        ended->info->status = status_success;
    }
    copy_received(ended->received, ended->buffers);
    if (ended->what == work::accept && ended->status == status_success)
        write_addresses(*ended);
    ended->written = true;
}

operation *begin_operation(work what, HANDLE file, const association &to, SOCKET socket, OVERLAPPED *overlapped)
{
    if (!is_port(to.port))
        complain("an overlapped operation on a handle of no port, or of a closed one");
    if (!guard::is_live(overlapped, sizeof(*overlapped)))
        complain("an operation in memory that is not allocated");
    if (k().operations.count(overlapped) != 0)
        complain("an operation is started that is in flight");
    overlapped->Internal = static_cast<ULONG_PTR>(status_pending);
    operation &begun = k().operations[overlapped];
    begun = operation();
    begun.what = what;
    begun.file = file;
    begun.to = to;
    begun.socket = socket;
    begun.overlapped = overlapped;
    begun.serial = new_serial();
    begun.accepted = INVALID_SOCKET;
    if (socket_object *on = find_socket(socket))
        on->waiting.push_back(overlapped);
    return &begun;
}

void end_operation(operation *ending, nt_status status, DWORD bytes, ULONG events)
{
    stop_waiting(*ending);
    ending->ended = true;
    ending->status = status;
    ending->bytes = bytes;
    ending->events = events;
    if (!happens(k().odds.written_late))
        write_result(ending);
    queue_packet_of(*ending);
}

void end_in_call(operation *ending, nt_status status, DWORD bytes, ULONG events)
{
    stop_waiting(*ending);
    ending->status = status;
    ending->bytes = bytes;
    ending->events = events;
    write_result(ending);
    k().operations.erase(ending->overlapped);
}

sys::start_result finish_start(operation *started, nt_status status, DWORD bytes, ULONG events, bool skips)
{
    if (skips != started->to.skips)
        complain("the caller and the handle disagree on whether success sends a packet");
    if (!skips || happens(k().odds.pends_although_ready)) {
        end_operation(started, status, bytes, events);
        return {sys::started::pending, 0, 0};
    }
    end_in_call(started, status, bytes, events);
    return {sys::started::done, 0, bytes};
}

void hold_packets(bool hold)
{
    k().hold_packets = hold;
}

bool release_first()
{
    return release_one(true);
}

bool release_last()
{
    return release_one(false);
}

void release_all()
{
    for (packet &queued : k().packets)
        queued.released = true;
}

void hold_cancelled(bool hold)
{
    k().hold_cancelled = hold;
    if (hold)
        return;
    std::vector<operation *> held;
    for (auto &entry : k().operations)
        if (entry.second.held)
            held.push_back(&entry.second);
    for (operation *released : held) {
        released->held = false;
        end_operation(released, status_cancelled, 0, 0);
    }
}

void set_cancel_way(cancel_way way)
{
    k().cancel_next = way;
}

void end_starting_thread()
{
    std::vector<operation *> ending;
    for (auto &entry : k().operations)
        if (!entry.second.ended && !entry.second.held && entry.second.what != work::wait)
            ending.push_back(&entry.second);
    for (operation *ended : ending)
        end_operation(ended, status_cancelled, 0, 0);
}

} // namespace fake

namespace sys {

using namespace fake;

namespace {

// Oldest first.
int cancel_all(HANDLE file)
{
    std::map<uint64_t, OVERLAPPED *> in_flight;
    for (const auto &entry : k().operations)
        if (entry.second.file == file && !entry.second.ended)
            in_flight[entry.second.serial] = entry.first;
    int result = ERROR_NOT_FOUND;
    for (const auto &entry : in_flight)
        result = cancel(file, entry.second) == 0 ? 0 : result;
    return result;
}

} // namespace

int cancel(HANDLE file, OVERLAPPED *overlapped)
{
    int error = enter(call::cancel);
    if (error != 0)
        return error;
    if (overlapped == nullptr)
        return cancel_all(file);
    auto found = k().operations.find(overlapped);
    if (found == k().operations.end() || found->second.file != file || found->second.ended || found->second.held)
        return ERROR_NOT_FOUND;
    operation *ending = &found->second;
    if (k().hold_cancelled) {
        ending->held = true;
        return 0;
    }
    bool loses = happens(k().odds.cancel_loses);
    if (k().cancel_next != cancel_way::by_chance)
        loses = k().cancel_next == cancel_way::loses;
    // It loses to what it waited for, which came in the same instant.
    if (!loses || !bring_about(ending)) {
        spoil_file_operation(*ending);
        end_operation(ending, status_cancelled, 0, 0);
    }
    return 0;
}

} // namespace sys
} // namespace iocp
