// One overlapped operation, from the call that starts it to the packet that ends it.
//
// The kernel writes into the OVERLAPPED, and into the buffers named in the call, until the packet has been dequeued.
// So an operation is allocated apart from whatever started it, its starter may let go of it at any time (disown, abandon), and
// only its packet frees it. Cancelling asks for an early packet; it frees nothing.
//
// Threads: every function here is called with the base's lock held, where the base has one.
#ifndef LIBEVENT_IOCP_BACKEND_COMPLETION_H
#define LIBEVENT_IOCP_BACKEND_COMPLETION_H

#include "compat/libevent.h"
#include "compat/sys.h"

namespace iocp {

struct port;
struct completion;

// Called when the packet has been dequeued. `error` is a Winsock code (of a file's operation a Win32 code), 0 on success;
// `bytes` counts what was moved.
// The operation is idle again: it may be started anew or freed.
using completion_ended = void (*)(completion *operation, int error, DWORD bytes);

enum class operation_kind : unsigned char { poll, receive, send, connect, accept, directory, wait, count };

struct completion_ops {
    operation_kind kind;
    completion_ended ended;
    completion_ended ended_alone;                    // nobody waits for it any more: frees it, or goes on
    void (*cancel)(completion *operation) = nullptr; // in CancelIoEx's place, for what is no operation on a file
};

union completion_link {
    completion *in_bucket;           // in flight: see port_in_flight.h
    SIMPLEQ_ENTRY(completion) waits; // idle: for whoever has it
};

struct completion {
    struct event_overlapped record; // first: a packet is found by its address
    const completion_ops *ops;
    HANDLE file;        // what it was started on, to cancel it there: a poll's is AFD's
    evutil_socket_t fd; // whose operation it is
    completion_link next;
    bool pending;
    bool cancelled; // by us; how the kernel reports that differs (a cancelled poll, a closed socket)
    bool alone;     // its starter has let go
    bool of_file;   // and not of a socket: its error is a Win32 code
};

void completion_init(completion *operation, const completion_ops *ops);

// Bracket a sys:: call: settle_start puts the operation in flight, unless the call has left no packet to come (done at
// once, or failed). If there is one, nobody takes it before that, since the lock is held. Returns its argument.
OVERLAPPED *completion_begin(completion *operation, evutil_socket_t fd);
OVERLAPPED *completion_begin_poll(completion *operation, HANDLE device, evutil_socket_t fd);
// The same on a handle that is no socket: a pipe's, a directory's.
OVERLAPPED *completion_begin_file(completion *operation, HANDLE file);
sys::start_result completion_settle_start(port *on, completion *operation, sys::start_result result);

// Of one that was taken back, and of which no packet will come: idle again, as if it had been cancelled.
void completion_withdraw(port *on, completion *operation);

// Asks the kernel to end it early. Nothing if it is idle or was asked before.
void completion_cancel(completion *operation);

// The starter lets go of an operation in flight, which ends by itself and is freed by its packet.
void completion_abandon(completion *operation);

// The starter lets go: an operation in flight is cancelled and frees itself by its packet; an idle one is freed now.
void completion_disown(completion *operation);

} // namespace iocp

#endif
