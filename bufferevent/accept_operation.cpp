#include "bufferevent/accept_operation.h"

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
        sys::close_socket(self->socket);
    mm_free(self);
}

bool accept_finish(SOCKET listener, SOCKET accepted, int flags)
{
    // Whether it has the listener's mode by finish_accept is not said by Microsoft.
    if (sys::finish_accept(listener, accepted) != 0 ||
        sys::set_blocking(accepted, (flags & EVUTIL_SOCK_NONBLOCK) == 0) != 0)
        return false;
    accept_set_inherited(accepted, false, flags);
    return true;
}

void accept_set_inherited(SOCKET accepted, bool inherited, int flags)
{
    bool asked_for = (flags & EVUTIL_SOCK_CLOEXEC) == 0;
    if (inherited != asked_for)
        sys::set_inherited(accepted, asked_for);
}

} // namespace iocp
