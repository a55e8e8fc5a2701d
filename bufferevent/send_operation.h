// One send: the bytes that were handed to the kernel, which are nobody else's from then on.
//
// On select, what the kernel has taken is gone from the program's output, whatever the program does next. So here: a
// send that goes into flight takes its bytes out of the evbuffer. Whole chains leave it as they are, pinned, and
// libevent frees them when they are unpinned; of a chain that is sent in part, that part is copied, since the program
// may write to what stands beside it (evbuffer_prepend). So is what the program lends without a cleanup
// (evbuffer_add_reference): that its output is without it is all that tells it that the memory is its own again.
//
// Whoever started it may let go of it at any time. It is then sent to its end, and not cancelled (see
// backend/socket_lingering.h).
#ifndef LIBEVENT_IOCP_BUFFEREVENT_SEND_OPERATION_H
#define LIBEVENT_IOCP_BUFFEREVENT_SEND_OPERATION_H

#include "backend/backend.h"

namespace iocp {

struct stream;

// Chains gathered by one send.
constexpr int max_gathered = 16;

// A file's send has one buffer: chains are copied into one up to this size. A first chain of that size is sent alone, as
// it is. Where a chain of a socket's send has to be copied, so is what follows it up to this size.
constexpr size_t max_coalesced = 16 * 1024;

// Times in a row that a send ends without an error and without a byte, and is started again.
constexpr int max_empty_ends = 8;

// Sends that a base keeps for the next ones: as many as may end in one turn of its loop.
constexpr unsigned max_idle_sends = 1024;

struct send_operation {
    completion operation;                        // first
    stream *owner;                               // not looked at once it was let go
    lingering_on left;                           // what it was let go on
    struct evbuffer *rest;                       // what is sent after it then; NULL: nothing
    struct evbuffer_chain *chains[max_gathered]; // pinned
    char *copied;                                // NULL: nothing
    int chain_count;
    int empty_ends;      // in a row
    uint32_t started_ms; // of one that was as long as it might be
    bool skips_packets;
    sys::transport transport;
    size_t length; // that the kernel was handed
    size_t sent;   // of it, by calls that have ended
    size_t grown;  // of it, what counts in the base's send_growth
    size_t limit;  // how long it might be, where that may grow; 0: it may not
};

// One that is idle. NULL for want of memory. `ops`: what happens when its packet has come; of one that was let go,
// send_operation_left_ended.
send_operation *send_operation_new(stream *owner, const completion_ops *ops);
void send_operation_left_ended(completion *operation, int error, DWORD bytes);

// Sends up to `at_most` bytes of the evbuffer, whose lock is held, and the base's.
sys::start_result send_operation_start(send_operation *self, port *on, evutil_socket_t fd, struct evbuffer *output,
                                       size_t at_most);
// Takes what is on its way, or was sent, out of the evbuffer. Calls its callbacks, so that the base's lock is not held.
void send_operation_take(struct evbuffer *output, size_t length);
// Its packet has come. True: only a part was sent, and the rest is in flight now. Otherwise it is to be settled with
// what the two say then.
bool send_operation_goes_on(send_operation *self, port *on, evutil_socket_t fd, int *error, DWORD *bytes);
// Gives the bytes up, but for chains that the loop has to free (sent_chains_wait comes next). Returns the error: what
// was not sent whole has failed.
int send_operation_settle(send_operation *self, int error, DWORD bytes);
// It has ended, or was never started: gives its chains up, with any lock that may be held then (see sent_chains.h).
void send_operation_give_up(send_operation *self);
// It is idle, and the base's again.
void send_operation_put_back(backend *base, send_operation *self);

// In flight, and nobody waits for it any more: it goes on by itself, and `rest` after it, which it takes over. `lasting`:
// see send_growth_lasting.
void send_operation_let_go(send_operation *self, socket_record *record, struct evbuffer *rest, unsigned char lasting);

} // namespace iocp

#endif
