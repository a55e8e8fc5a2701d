// One overlapped operation, from the call that starts it to the packet that ends it.
//
// The kernel writes into the OVERLAPPED, and into the buffers named in the call, until the packet has been dequeued.
// So an operation is allocated apart from whatever started it, its starter may let go of it at any time (disown,
// abandon), and only its packet frees it. (A stream's receive is one block with the stream, which then stays until that
// packet.) Cancelling asks for an early packet; it frees nothing.
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
    void (*cancel)(completion *operation) = nullptr; // for what is no operation on the file or socket itself
};

union completion_link {
    completion *in_bucket;           // in flight: see port_in_flight.h
    SIMPLEQ_ENTRY(completion) waits; // idle: for whoever has it
};

// Of the number of a loop's turn, what an operation remembers.
constexpr unsigned turn_bits = 28;

// There is one for each idle connection: its size counts.
struct completion {
    OVERLAPPED overlapped; // first: a packet is found by its address
    const completion_ops *ops;
    completion_link next;
    int32_t handle;                    // whose operation it is, see completion_descriptor
    unsigned started_turn : turn_bits; // see completion_note_turn
    unsigned pending : 1;
    unsigned cancelled : 1; // by us; how the kernel reports that differs (a cancelled poll, a closed socket)
    unsigned alone : 1;     // its starter has let go
    unsigned of_file : 1;   // and not of a socket: its error is a Win32 code
};

static_assert(sizeof(void *) != 8 || sizeof(completion) == 56, "there is one for each idle connection");

// A handle has 32 significant bits (Microsoft's "Interprocess Communication Between 32-bit and 64-bit Applications"): it
// is cut, and extended by its sign. What does not come back so is no handle.
inline bool is_handle(evutil_socket_t descriptor)
{
    return static_cast<int32_t>(descriptor) == descriptor;
}

// The socket or file that the operation was started on; of a poll, the one that is polled.
inline evutil_socket_t completion_descriptor(const completion *operation)
{
    return operation->handle;
}

// For who wants to know how many turns of the loop it has waited. (Beyond 2^28, of what is left when that is taken away.)
inline void completion_note_turn(completion *operation, uint64_t turn)
{
    operation->started_turn = static_cast<unsigned>(turn) & ((1U << turn_bits) - 1);
}

inline unsigned completion_turns_since(const completion *operation, uint64_t turn)
{
    return (static_cast<unsigned>(turn) - operation->started_turn) & ((1U << turn_bits) - 1);
}

void completion_init(completion *operation, const completion_ops *ops);

// Before a sys:: call that starts it; completion_settle_start (port.h) comes behind.
inline OVERLAPPED *completion_begin(completion *operation, evutil_socket_t fd)
{
    EVUTIL_ASSERT(!operation->pending && !operation->alone && is_handle(fd));
    operation->overlapped = {};
    operation->handle = static_cast<int32_t>(fd);
    operation->cancelled = false;
    return &operation->overlapped;
}

// The same on a handle that is no socket: a pipe's, a directory's.
OVERLAPPED *completion_begin_file(completion *operation, HANDLE file);

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
