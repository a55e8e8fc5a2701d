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

} // namespace iocp
