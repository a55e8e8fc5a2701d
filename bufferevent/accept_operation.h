// One accept of a listening socket, until its connection is taken: an AcceptEx in flight or ended, or a connection that
// accept() took to see whether somebody waits (see acceptor_backlog.h).
//
// Ownership: what is in flight owns its memory until its packet; its acceptor's lists (see acceptor_lists.h) hold it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_ACCEPT_OPERATION_H
#define LIBEVENT_IOCP_BUFFEREVENT_ACCEPT_OPERATION_H

#include "bufferevent/acceptor.h"

namespace iocp {

// AcceptEx asks for 16 bytes more than the largest address.
constexpr DWORD address_room = sizeof(struct sockaddr_storage) + 16;

// See acceptor_first_data.h.
enum class accept_stage : unsigned char { open, silent, leaving };

struct accept_operation {
    completion operation; // first
    acceptor *owner;      // not looked at once disowned
    TAILQ_ENTRY(accept_operation) listed;
    SOCKET socket;
    int64_t connected_us; // when its peer connected; of a silent one
    unsigned room;        // for first data
    unsigned length;      // of the first data that came
    accept_stage stage;
    bool by_accept;  // accept() has made the socket: it is finished
    bool inherited;  // the socket, by child processes
    int peer_length; // by accept(), of the peer's address in the buffer
    char buffer[1];  // else `room` bytes of first data, then two addresses
};

// NULL: there is no memory.
accept_operation *accept_operation_new(acceptor *owner, const completion_ops *ops, unsigned room);
// With its socket, unless somebody has taken that. Not in flight.
void accept_operation_free(accept_operation *self);

// The last steps of a connection that AcceptEx has made. 0; a shortage; or its peer has gone meanwhile.
int accept_finish(SOCKET listener, SOCKET accepted, int flags);
// Who has connected: its listener's provider says so, unless it has no memory for that now. 0, or its peer has gone.
int accept_peer_address(SOCKET listener, accept_operation *accepting, struct sockaddr *address, ev_socklen_t *length);
// A child process that was made before its program has been told of a connection would keep it open, whoever closes it.
// So until then it is not inherited; from then on, as by accept(), unless EVUTIL_SOCK_CLOEXEC is among the flags.
// `inherited`: what holds so far.
void accept_set_inherited(SOCKET accepted, bool inherited, int flags);

} // namespace iocp

#endif
