#include "backend/port.h"
#include "backend/port_watcher.h"

namespace iocp {

namespace {

// More than will ever be beside the loop. Windows counts each thread that has dequeued once and runs on, and gives no
// packets to others beyond the limit: the thread that a base was moved from, that frees it or lets go of something of
// it.
constexpr DWORD max_threads = 1024;

int port_error_of(completion *ended)
{
    OVERLAPPED *overlapped = &ended->overlapped;
    if (ended->ops->kind == operation_kind::poll)
        return sys::status_to_error(static_cast<nt_status>(overlapped->Internal));
    if (ended->of_file)
        return sys::file_error(static_cast<nt_status>(overlapped->Internal));
    return sys::operation_error(static_cast<SOCKET>(completion_descriptor(ended)), overlapped);
}

void port_take_packet(port *on, completion *operation)
{
    EVUTIL_ASSERT(operation->pending);
    in_flight_remove(&on->in_flight, operation);
    operation->pending = false;
    int error = port_error_of(operation);
    DWORD bytes = static_cast<DWORD>(operation->overlapped.InternalHigh);
    operation_ended(&on->counts, operation, error, bytes);
    if (operation->alone)
        operation->ops->ended_alone(operation, error, bytes);
    else
        operation->ops->ended(operation, error, bytes);
}

} // namespace

void completion_init(completion *operation, const completion_ops *ops)
{
    EVUTIL_ASSERT(ops->kind != operation_kind::poll || ops->cancel != nullptr); // it is AFD's handle that it is on
    operation->ops = ops;
    operation->handle = -1;
    operation->next.in_bucket = nullptr;
    operation->started_turn = 0;
    operation->pending = operation->cancelled = operation->alone = operation->of_file = false;
}

OVERLAPPED *completion_begin_file(completion *operation, HANDLE file)
{
    operation->of_file = true;
    return completion_begin(operation, reinterpret_cast<evutil_socket_t>(file));
}

void completion_withdraw(port *on, completion *operation)
{
    EVUTIL_ASSERT(operation->pending);
    in_flight_remove(&on->in_flight, operation);
    operation->pending = false;
    operation->cancelled = true;
    operation_cancelled(operation);
    operation_ended(&on->counts, operation, ERROR_OPERATION_ABORTED, 0);
}

void completion_cancel(completion *operation)
{
    if (!operation->pending || operation->cancelled)
        return;
    operation->cancelled = true;
    operation_cancelled(operation);
    if (operation->ops->cancel != nullptr) {
        operation->ops->cancel(operation);
        return;
    }
    // ERROR_NOT_FOUND means that the packet is already on its way, and other errors that the socket was closed, which
    // ends its operations too: in each case the packet comes.
    sys::cancel(reinterpret_cast<HANDLE>(completion_descriptor(operation)), &operation->overlapped);
}

void completion_abandon(completion *operation)
{
    EVUTIL_ASSERT(operation->pending && !operation->alone);
    operation->alone = true;
}

void completion_disown(completion *operation)
{
    EVUTIL_ASSERT(!operation->alone);
    operation->alone = true;
    if (operation->pending)
        completion_cancel(operation);
    else
        operation->ops->ended_alone(operation, 0, 0);
}

port *port_open()
{
    int error = sys::startup();
    if (error != 0) {
        event_warnx("iocp: Winsock could not be started (error %d)", error);
        return nullptr;
    }
    auto *opened = static_cast<port *>(mm_calloc(1, sizeof(port)));
    if (opened == nullptr) {
        event_warn("%s: calloc", __func__);
        sys::cleanup();
        return nullptr;
    }
    opened->batch = 1;
    in_flight_init(&opened->in_flight);
    error = sys::port_create(&opened->for_libevent.port, max_threads);
    if (error != 0) {
        event_warnx("iocp: no completion port could be created (error %d)", error);
        mm_free(opened);
        sys::cleanup();
        return nullptr;
    }
    return opened;
}

void port_close(port *closing)
{
    EVUTIL_ASSERT(closing->workers == nullptr && closing->watcher == nullptr);
    in_flight_destroy(&closing->in_flight);
    sys::close_handle(closing->for_libevent.port);
    mm_free(closing);
    sys::cleanup();
}

ULONG_PTR port_operations_key(const port *on)
{
    return reinterpret_cast<ULONG_PTR>(on);
}

int port_associate(port *on, HANDLE file)
{
    return sys::port_associate(on->for_libevent.port, file, port_operations_key(on));
}

int port_post(port *on, struct event_overlapped *record, ULONG_PTR key, DWORD bytes)
{
    int error = sys::port_post(on->for_libevent.port, key, bytes, &record->overlapped);
    if (error != 0) {
        event_warnx("iocp: a packet could not be posted to the port (error %d)", error);
        return -1;
    }
    ++on->posted;
    return 0;
}

ULONG port_packets_wanted(const port *on, bool all)
{
    if (on->foreign_packets)
        return max_packets;
    size_t owed = on->in_flight.count + on->posted;
    if (owed == 0)
        return 1; // another thread may post a wake-up while we wait
    ULONG most = all ? max_packets : on->batch;
    return owed < most ? static_cast<ULONG>(owed) : most;
}

void port_packets_came(port *on, ULONG wanted, ULONG count)
{
    // A small batch is seldom tried larger: the try is dear in proportion.
    constexpr ULONG patience = 16;
    if (count < wanted) {
        on->batch = count > 0 ? count : 1;
        on->full_batches = 0;
    } else if (wanted == on->batch && ++on->full_batches * on->batch >= patience) {
        on->batch = on->batch * 2 < max_packets ? on->batch * 2 : max_packets;
        on->full_batches = 0;
    }
}

void port_deliver(port *on, OVERLAPPED_ENTRY *entries, ULONG count)
{
    for (ULONG i = 0; i < count; ++i) {
        OVERLAPPED *overlapped = entries[i].lpOverlapped;
        if (entries[i].lpCompletionKey == port_operations_key(on)) {
            completion *operation = in_flight_find(&on->in_flight, overlapped);
            if (operation != nullptr)
                port_take_packet(on, operation);
            continue; // somebody else's, whose memory is not ours to touch
        }
        auto *record = reinterpret_cast<struct event_overlapped *>(overlapped);
        if (on->posted > 0 && entries[i].lpCompletionKey != port_uncounted_key)
            --on->posted;
        bool succeeded = sys::status_to_error(static_cast<nt_status>(record->overlapped.Internal)) == 0;
        record->cb(record, entries[i].lpCompletionKey, static_cast<ev_ssize_t>(entries[i].dwNumberOfBytesTransferred),
                   succeeded);
    }
}

namespace {

// How long a wait may still take.
struct time_limit {
    struct evutil_monotonic_timer timer;
    struct timeval start;
    int64_t limit_us;
};

void port_limit_start(time_limit *self, int64_t limit_us)
{
    self->limit_us = limit_us;
    evutil_configure_monotonic_time_(&self->timer, 0);
    evutil_gettime_monotonic_(&self->timer, &self->start);
}

int64_t port_limit_left_us(time_limit *self)
{
    struct timeval now, spent;
    evutil_gettime_monotonic_(&self->timer, &now);
    evutil_timersub(&now, &self->start, &spent);
    return self->limit_us - (static_cast<int64_t>(spent.tv_sec) * 1000000 + spent.tv_usec);
}

// Takes and delivers a batch. The count, or -1. `let_go_of`: whose lock is free meanwhile; or NULL.
int port_collect_batch(port *on, int64_t timeout_us, struct event_base *let_go_of)
{
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    int error = on->watcher != nullptr ? port_watcher_take(on, entries, &count) : 0;
    if (error == 0 && count == 0) {
        base_unlocked others(let_go_of);
        error =
            sys::port_dequeue(on->for_libevent.port, entries, max_packets, timeout_us, sys::wait_kind::plain, &count);
    }
    if (error != 0)
        return -1;
    port_deliver(on, entries, count);
    return static_cast<int>(count);
}

bool port_is_pending(const void *awaited)
{
    return static_cast<const completion *>(awaited)->pending;
}

// Collects while that holds, up to the limit. Who was kept from running meanwhile sees at its end what has come.
void port_collect_until(port *on, bool (*holds)(const void *), const void *of, int64_t limit_us,
                        struct event_base *let_go_of)
{
    time_limit limit;
    port_limit_start(&limit, limit_us);
    bool is_last = false;
    for (int64_t left = limit_us; holds(of) && !is_last; left = port_limit_left_us(&limit)) {
        is_last = left <= 0;
        if (port_collect_batch(on, is_last ? 0 : left, let_go_of) < 0)
            return;
    }
}

// The same beside a loop that runs in another thread. Either of the two may get the packet; for the loop to deliver it,
// it needs the lock now and then. What we take from it, it does not wake up for by itself.
bool port_collect_beside_loop(port *on, const completion *awaited, int64_t limit_us)
{
    struct event_base *base = on->base;
    bool any_taken = false, is_last = false;
    time_limit limit;
    port_limit_start(&limit, limit_us);
    for (unsigned looks = 0; awaited->pending && !is_last; ++looks) {
        is_last = port_limit_left_us(&limit) <= 0; // as above
        int taken = port_collect_batch(on, 0, nullptr);
        any_taken = any_taken || taken > 0;
        if (taken < 0 || !awaited->pending)
            break;
        base_unlocked others(base);
        sys::let_others_run(looks);
    }
    if (any_taken)
        base_wake(base);
    return !awaited->pending;
}

bool port_has_any_in_flight(const void *on)
{
    return static_cast<const port *>(on)->in_flight.count != 0;
}

} // namespace

bool port_drain(port *draining)
{
    in_flight_cancel_all(&draining->in_flight);
    port_collect_while(draining, port_has_any_in_flight, draining, drain_limit_us);
    return !port_has_any_in_flight(draining);
}

void port_collect_while(port *on, bool (*holds)(const void *), const void *of, int64_t limit_us)
{
    port_collect_until(on, holds, of, limit_us, on->base);
}

bool port_await(port *on, completion *awaited)
{
    completion_cancel(awaited);
    if (on->base != nullptr && EVBASE_NEED_NOTIFY(on->base))
        return port_collect_beside_loop(on, awaited, await_limit_us);
    port_collect_until(on, port_is_pending, awaited, await_limit_us, nullptr);
    return !awaited->pending;
}

} // namespace iocp
