// One receive: its memory, and how much of that the base can afford.
//
// The buffer lives until the packet, and the operation with it (see backend/completion.h). What was received stays in
// it until it is read.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_OPERATION_H
#define LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_OPERATION_H

#include "backend/socket_lingering.h"
#include "bufferevent/stream.h"

namespace iocp {

// Size of a receive's buffer at first. It doubles when filled, up to what a read may take, and halves when nearly
// empty.
constexpr unsigned first_receive_size = 2048;
// Of a file's that has been quiet, where a receive cannot wait without a buffer.
constexpr unsigned cold_receive_size = 256;

// What a stream's receive has, until the stream lets go of it.
struct receive_in_use {
    stream *owner;
    TAILQ_ENTRY(receive_operation) listed; // the budget's, while in flight with a buffer
    unsigned started_turn;                 // the lower half of its number
    unsigned capacity;                     // of the buffer
    unsigned begin;                        // held bytes: buffer[begin, end)
    unsigned end;
    bool in_list;
    bool came_early;          // the held bytes came with the connection
    unsigned char calls_paid; // in a row, for want of a buffer, see receive_budget.h
};

// Every idle connection has one: of the two that it has in turn, one place.
struct receive_operation {
    completion operation; // first
    char *buffer;         // NULL: the receive is of zero bytes
    union {
        receive_in_use in_use;
        lingering_on left; // what it was let go on
    };
};

// Its stream lets go of it: from now on, it is in use no more. The buffer stays until the packet.
void receive_operation_leave(backend *owner, receive_operation *receiving);
// What has come of it, be it by packet or in its call. `failure`: the error, of one that has failed.
receive_state receive_outcome(receive_operation *receiving, int error, DWORD bytes, int *failure);

// In flight with a buffer that may be called back: kept in the order of their start, so that the coldest can be found.
void receive_list_append(receive_budget *budget, receive_operation *receiving);
void receive_list_remove(receive_budget *budget, receive_operation *receiving);

// Frees the buffer. `owner`: whose budget it is of; NULL if that base is gone.
void receive_release_buffer(backend *owner, receive_operation *receiving);
// A buffer of `size` bytes, whatever the budget says. False for want of memory.
bool receive_allocate_buffer(backend *owner, receive_operation *receiving, unsigned size);
// libevent's cleanup of a buffer that was handed to an evbuffer as it was.
void receive_free_handed_over(const void *data, size_t length, void *);
// Gives the operation, which is to wait, a buffer if its connection deserves one and the budget has room; or a small one
// where it needs one. False if there is none, for want of memory.
bool receive_provide_buffer(stream *self, receive_operation *receiving);

} // namespace iocp

#endif
