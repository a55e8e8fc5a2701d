// One base that runs on a port: what it is composed of. Lives in base->evbase; its port also in base->iocp.
#ifndef LIBEVENT_IOCP_BACKEND_BACKEND_H
#define LIBEVENT_IOCP_BACKEND_BACKEND_H

#include "backend/afd_device.h"
#include "backend/base_signals.h"
#include "backend/handles/base_directories.h"
#include "backend/embedding.h"
#include "backend/listening_round.h"
#include "backend/loop.h"
#include "backend/handles/waiting_handles.h"
#include "backend/port.h"
#include "backend/socket_lingering.h"
#include "bufferevent/base_streams.h"

#include <atomic>

namespace iocp {

struct backend {
    struct event_base *base;
    iocp::port *port;
    iocp::loop loop;
    afd_device_list devices;
    socket_records sockets;
    lingering_state lingering;
    base_rounds rounds;
    base_streams streams;
    base_directories directories;
    waiting_handles waits;
    embedding embedded;
    base_signals signals;
    struct event_overlapped wake; // posted by th_notify_fn
    std::atomic<unsigned> uses;   // see registry_use
    bool draining;                // the base is being freed: start nothing
    bool precise;                 // holds the system's fine clock
};

// libevent's table of backends holds both: iocpops first, and last_resort_ops behind select.
extern "C" const struct eventop iocpops;
extern "C" const struct eventop iocp_last_resort_ops;

// 1 puts every base on a port that does not rule it out, as if each had EVENT_BASE_FLAG_STARTUP_IOCP. A program may
// define its own, instead of setting a flag or the environment.
extern "C" const int iocp_every_base;

// Stands in base->iocp when the port was asked for and could not be had.
extern port port_refused;

// For a base, with its port: NULL for want of memory.
backend *backend_new(struct event_base *base, port *on);
// The backend of a base that runs on a port, or NULL. For core's files alone: it looks at data that other DLLs do not see.
inline backend *backend_of(struct event_base *base)
{
    return base->evsel == &iocpops ? static_cast<backend *>(base->evbase) : nullptr;
}

// Its loop runs in another thread, and there are no locks (which is legal, where bases are private): nothing of it may be
// looked at.
bool backend_is_out_of_reach(const backend *self);

// The variable is set, to something else than 0, and the base looks at the environment.
bool environment_asks(const struct event_base *base, const char *name);

// The base's monotonic clock, lock held.
int64_t backend_now_us(backend *self);

inline port *port_of(struct event_iocp_port *libevents)
{
    return reinterpret_cast<port *>(libevents);
}

// No other thread is led to it by a descriptor any more, nor looks at it. Without its lock.
void backend_hide(backend *self);
// Cancels every operation and collects its packet. Nothing is started any more.
void backend_drain(backend *self);
// Frees it, with its port. What cannot be drained is leaked, never freed under the kernel.
void backend_close(backend *self);

// Moves a base from select to the port that libevent launched for it (event_base_start_iocp_). Only between runs of
// the loop; false if it cannot be moved now, and then nothing has changed.
bool backend_adopt(struct event_base *base);

} // namespace iocp

#endif
