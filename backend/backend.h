// The state of one base that runs on a port. Lives in base->evbase; its port also in base->iocp.
#ifndef LIBEVENT_IOCP_BACKEND_BACKEND_H
#define LIBEVENT_IOCP_BACKEND_BACKEND_H

#include "backend/fd_table.h"
#include "backend/port.h"
#include "backend/receive_budget.h"
#include "backend/socket_lingering.h"
#include "backend/source.h"
#include "backend/start_pace.h"

namespace iocp {

struct afd_device;

// The connection that a listener has brought last.
struct accepted_note {
    evutil_socket_t fd;
    uint64_t turn;   // in which
    unsigned closes; // how many descriptors the process had closed by then
};

struct backend {
    struct event_base *base;
    port *on;
    source_list changed; // see source_place
    source_list starting;
    source_list receiving;
    source_list polling;
    source *to_free; // see source_free_later
    start_pace pace;
    afd_device *devices;
    socket_record *records;
    fd_table sockets; // the same, by descriptor
    accepted_note accepted;
    struct event_overlapped wake;        // posted by th_notify_fn
    struct event_overlapped signal_wake; // posted by the signal handler
    receive_budget receives;
    lingering_state lingering;
    size_t bytes_lingering;      // in sends that nobody waits for
    const void *connecting;      // the bufferevent whose next descriptor is about to be connected
    const void *socket_made_for; // the one for which libevent made that descriptor
    uint64_t turn;               // how many the loop has made
    uint64_t packets;            // how many its turns have dequeued
    uint64_t looks;              // how often they looked at the port without waiting, for event_iocp_get_stats
    uint64_t waits;              // and how often they waited there
    uint64_t looks_together;
    bool retry_soon; // a start failed for want of memory: do not sleep long
    bool draining;   // the base is being freed: start nothing
    bool precise;    // holds the system's fine clock
};

// libevent's table of backends holds both: iocpops first, and last_resort_ops behind select.
extern "C" const struct eventop iocpops;
extern "C" const struct eventop iocp_last_resort_ops;

// 1 puts every base on a port that does not rule it out, as if each had EVENT_BASE_FLAG_STARTUP_IOCP. A program may
// define its own, instead of setting a flag or the environment.
extern "C" const int iocp_every_base;

// Stands in base->iocp when the port was asked for and could not be had.
extern port port_refused;

// The backend of a base that runs on a port, or NULL.
backend *backend_of(struct event_base *base);

// The variable is set, to something else than 0, and the base looks at the environment.
bool environment_asks(const struct event_base *base, const char *name);

// The base's monotonic clock, lock held.
int64_t backend_now_us(backend *self);

inline port *port_of_face(struct event_iocp_port *face)
{
    return reinterpret_cast<port *>(face);
}

// Cancels every operation and collects its packet. Nothing is started any more.
void backend_drain(backend *self);
// Frees it, with its port. What cannot be drained is leaked, never freed under the kernel.
void backend_close(backend *self);

// Moves a base from select to the port that libevent launched for it (event_base_start_iocp_). Only between runs of
// the loop; false if it cannot be moved now, and then nothing has changed.
bool backend_adopt(struct event_base *base);

} // namespace iocp

#endif
