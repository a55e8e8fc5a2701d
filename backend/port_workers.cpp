#include "backend/port_workers.h"

namespace iocp {

struct port_workers {
    struct event_overlapped stop;
    HANDLE threads[worker_count];
    int count;
    bool stopping;
};

namespace {

void workers_stop_packet(struct event_overlapped *, ev_uintptr_t, ev_ssize_t, int)
{
}

// One packet a time: each thread must take just one stop.
void worker_run(void *argument)
{
    auto *on = static_cast<port *>(argument);
    for (;;) {
        OVERLAPPED_ENTRY entry;
        ULONG count = 0;
        if (sys::port_dequeue(on->for_libevent.port, &entry, 1, -1, sys::wait_kind::plain, &count) != 0)
            return;
        if (count == 0)
            continue;
        auto *record = reinterpret_cast<struct event_overlapped *>(entry.lpOverlapped);
        if (record->cb == workers_stop_packet)
            return;
        bool succeeded = sys::status_to_error(static_cast<nt_status>(record->overlapped.Internal)) == 0;
        record->cb(record, entry.lpCompletionKey, static_cast<ev_ssize_t>(entry.dwNumberOfBytesTransferred), succeeded);
    }
}

} // namespace

int port_workers_start(port *on)
{
    if (on->workers != nullptr)
        return 0;
    auto *workers = static_cast<port_workers *>(mm_calloc(1, sizeof(port_workers)));
    if (workers == nullptr) {
        event_warn("%s: calloc", __func__);
        return -1;
    }
    event_overlapped_init_(&workers->stop, workers_stop_packet);
    on->workers = workers;
    for (; workers->count < worker_count; ++workers->count) {
        int error = sys::thread_start(worker_run, on, &workers->threads[workers->count]);
        if (error == 0)
            continue;
        event_warnx("iocp: a port's thread could not be started (error %d)", error);
        if (workers->count > 0)
            return 0; // fewer will do
        mm_free(workers);
        on->workers = nullptr;
        return -1;
    }
    return 0;
}

int port_workers_stop(port *on, long wait_ms)
{
    port_workers *workers = on->workers;
    if (workers == nullptr)
        return 0;
    if (!workers->stopping) {
        workers->stopping = true;
        for (int i = 0; i < workers->count; ++i)
            if (port_post(on, &workers->stop, 0, 0) != 0)
                return -1;
    }
    while (workers->count > 0) {
        if (!sys::thread_wait(workers->threads[workers->count - 1], wait_ms))
            return -1;
        --workers->count;
    }
    mm_free(workers);
    on->workers = nullptr;
    return 0;
}

} // namespace iocp
