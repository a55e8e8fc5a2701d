#include "bufferevent/accept_operation.h"
#include "backend/transport.h"

namespace iocp {

accept_operation *accept_operation_new(acceptor *owner, const completion_ops *ops, unsigned room)
{
    auto *self = static_cast<accept_operation *>(mm_calloc(1, sizeof(accept_operation) + room + 2 * address_room));
    if (self == nullptr)
        return nullptr;
    completion_init(&self->operation, ops);
    self->owner = owner;
    self->room = room;
    self->socket = INVALID_SOCKET;
    return self;
}

void accept_operation_free(accept_operation *self)
{
    if (self->socket != INVALID_SOCKET)
        transport_close_for_good(self->socket);
    mm_free(self);
}

int accept_finish(SOCKET listener, SOCKET accepted, int flags)
{
    int error = sys::finish_accept(listener, accepted);
    // Whether it has the listener's mode by that is not said by Microsoft.
    if (error == 0)
        error = sys::set_blocking(accepted, (flags & EVUTIL_SOCK_NONBLOCK) == 0);
    if (error == 0)
        accept_set_inherited(accepted, false, flags);
    return error;
}

int accept_peer_address(SOCKET listener, accept_operation *accepting, struct sockaddr *address, ev_socklen_t *length)
{
    struct sockaddr *local, *remote;
    int local_length, remote_length;
    sys::accept_addresses(listener, accepting->buffer, accepting->room, address_room, &local, &local_length, &remote,
                          &remote_length);
    if (remote == nullptr)
        return sys::peer_address(accepting->socket, address, length);
    acceptor_give_address(remote, remote_length, address, length);
    return 0;
}

void accept_set_inherited(SOCKET accepted, bool inherited, int flags)
{
    bool asked_for = (flags & EVUTIL_SOCK_CLOEXEC) == 0;
    if (inherited != asked_for)
        sys::set_inherited(accepted, asked_for);
}

} // namespace iocp
