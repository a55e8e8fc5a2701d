// A completion port and the operations in flight on it.
//
// Ownership: the port owns its handle and knows every operation that the kernel may still write to. It is closed only
// when that list is empty, or leaked with a warning if the kernel does not give the last packets back.
#ifndef LIBEVENT_IOCP_BACKEND_PORT_H
#define LIBEVENT_IOCP_BACKEND_PORT_H

#include "backend/operation_counts.h"
#include "backend/port_in_flight.h"

namespace iocp {

struct port_workers;
struct port_watcher;

// Packets taken by one call. Microsoft's documentation sets no limit; a batch lives on the stack.
constexpr ULONG max_packets = 128;

// How long port_drain waits for cancelled operations before it gives up and leaks them.
constexpr int64_t drain_limit_us = 5 * 1000 * 1000;

// How long port_await waits for one cancelled operation. The kernel usually gives it back within the cancel.
constexpr int64_t await_limit_us = 1000 * 1000;

struct port {
    struct event_iocp_port for_libevent; // first: what libevent calls a port
    struct event_base *base;             // that runs it; NULL for a port launched without one
    port_workers *workers;               // the threads of a port without a base
    port_watcher *watcher;               // see port_watcher.h; NULL: nobody has to watch
    struct event_overlapped recall;      // calls the watcher back, and may come when that has ended
    in_flight_table in_flight;
    operation_counts counts;
    size_t posted;         // packets posted by us and not yet dequeued
    ULONG batch;           // how many packets a dequeue asks for, see port_packets_wanted
    unsigned full_batches; // how often in a row it got them all
    bool foreign_packets;  // someone associated a handle through libevent's internal API: packets we cannot count
};

// Behind a call that starts an operation (see completion_begin): puts it in flight, unless the call has left no packet to
// come (done at once, or failed). If there is one, nobody takes it before that, since the lock is held. Returns its
// argument.
inline sys::start_result completion_settle_start(port *on, completion *operation, sys::start_result result)
{
    EVUTIL_ASSERT(!operation->pending);
    if (result.how == sys::started::pending) {
        operation->pending = true;
        in_flight_add(&on->in_flight, operation);
    }
    operation_started(&on->counts, operation, result);
    return result;
}

// Returns NULL with a warning when the kernel has no port to give.
port *port_open();
// Nothing may be in flight.
void port_close(port *closing);

int port_associate(port *on, HANDLE file);
// What the packets of operations carry, and none of those that are posted with a record.
ULONG_PTR port_operations_key(const port *on);
// Queues a packet for `record`, whose callback runs as for any other packet. Any thread, lock held. 0 or -1.
int port_post(port *on, struct event_overlapped *record, ULONG_PTR key, DWORD bytes);

// The key of what is posted without the lock, by the signal handler: not counted.
constexpr ULONG_PTR port_uncounted_key = ~ULONG_PTR{0};
// False: nothing can be there but what is posted without the lock.
inline bool port_owes(const port *on)
{
    return on->in_flight.count != 0 || on->posted != 0 || on->foreign_packets;
}

// How many packets it makes sense to ask for: no more than are owed, and about as many as lately came at a time. (To
// look for one more packet than there is costs a call under Wine.) More are asked for after some full batches, fewer
// after one that was not.
// `all`: as many as are owed, for who must know all that is ready.
ULONG port_packets_wanted(const port *on, bool all);
void port_packets_came(port *on, ULONG wanted, ULONG count);
// Runs the packets' callbacks, lock held.
void port_deliver(port *on, OVERLAPPED_ENTRY *entries, ULONG count);

// Cancels everything and collects until nothing is in flight. True if that succeeded within drain_limit_us. The lock is
// held, and let go while it waits: who closes in another thread a socket that the base knew need not wait for its end.
bool port_drain(port *draining);

// Collects as long as that holds, but no longer than the limit. The lock as above.
void port_collect_while(port *on, bool (*holds)(const void *), const void *of, int64_t limit_us);

// Cancels one operation and collects until its packet has come; other packets are delivered meanwhile. For the rare
// moment when what the operation moved must be known before going on. The lock is held, and let go at times if the loop
// runs in another thread. False if it did not come within await_limit_us.
bool port_await(port *on, completion *awaited);

} // namespace iocp

#endif
