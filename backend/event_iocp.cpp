// libevent's internal completion-port functions (iocp-internal.h), in place of its event_iocp.c.
#include "backend/backend.h"
#include "backend/port_workers.h"

#include <atomic>

using namespace iocp;

extern "C" {

void event_overlapped_init_(struct event_overlapped *record, iocp_callback callback)
{
    memset(record, 0, sizeof(*record));
    record->cb = callback;
}

// We call each socket's own functions; these say whether there are any. libevent's tests take one away by writing to
// the record, and expect a plain connect then. Where the kernel is short of what the question takes, this call has none,
// and who asks next finds out.
const struct win32_extension_fns *event_get_win32_extension_fns_(void)
{
    static struct win32_extension_fns found;
    static const struct win32_extension_fns none_yet = {};
    static SRWLOCK lock = SRWLOCK_INIT;
    static std::atomic<bool> known;
    if (known.load(std::memory_order_acquire))
        return &found;
    // Several threads may ask the kernel, which no lock is held for; one writes.
    LPFN_ACCEPTEX accept_ex;
    LPFN_CONNECTEX connect_ex;
    LPFN_GETACCEPTEXSOCKADDRS addresses;
    if (!sys::find_extensions(&accept_ex, &connect_ex, &addresses))
        return &none_yet;
    AcquireSRWLockExclusive(&lock);
    if (!known.load(std::memory_order_relaxed))
        found = {accept_ex, connect_ex, addresses};
    known.store(true, std::memory_order_release);
    ReleaseSRWLockExclusive(&lock);
    return &found;
}

// A port without a base, as libevent's own tests use it, or one for a base on select (event_base_start_iocp_). The
// first runs its packets on worker threads; the second is handed to the base by event_base_get_iocp_.
struct event_iocp_port *event_iocp_port_launch_(int)
{
    port *launched = port_open();
    return launched != nullptr ? &launched->for_libevent : nullptr;
}

int event_iocp_port_associate_(struct event_iocp_port *libevents, evutil_socket_t fd, ev_uintptr_t key)
{
    port *on = port_of(libevents);
    if (on->base == nullptr && port_workers_start(on) != 0)
        return -1;
    int error = sys::port_associate(on->for_libevent.port, reinterpret_cast<HANDLE>(fd), key);
    if (error != 0) {
        event_warnx("iocp: a socket could not be associated with the port (error %d)", error);
        return -1;
    }
    on->foreign_packets = true;
    return 0;
}

int event_iocp_activate_overlapped_(struct event_iocp_port *libevents, struct event_overlapped *record,
                                    ev_uintptr_t key, ev_uint32_t bytes)
{
    port *on = port_of(libevents);
    if (on->base == nullptr && port_workers_start(on) != 0)
        return -1;
    on->foreign_packets = true;
    return port_post(on, record, key, bytes);
}

// Called by event_base_free before it takes the events away, so that finalizers still find their base.
int event_iocp_shutdown_(struct event_iocp_port *libevents, long wait_ms)
{
    port *stopping = port_of(libevents);
    if (stopping == &port_refused)
        return 0;
    if (stopping->base != nullptr) {
        backend_drain(backend_of(stopping->base));
        return 0;
    }
    if (port_workers_stop(stopping, wait_ms) != 0)
        return -1;
    port_close(stopping);
    return 0;
}

struct event_iocp_port *event_base_get_iocp_(struct event_base *base)
{
    if (base->iocp == nullptr || base->iocp == &port_refused.for_libevent)
        return nullptr;
    if (backend_of(base) == nullptr && !backend_adopt(base))
        return nullptr;
    return base->iocp;
}
}
