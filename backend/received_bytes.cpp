#include "backend/received_bytes.h"

namespace iocp {

received_bytes *received_new(unsigned capacity)
{
    auto *self = static_cast<received_bytes *>(mm_malloc(sizeof(received_bytes) + capacity));
    if (self == nullptr)
        return nullptr;
    self->fd = EVUTIL_INVALID_SOCKET;
    self->owner = nullptr;
    self->capacity = capacity;
    self->begin = self->end = 0;
    self->connection = 0;
    self->life = 0;
    self->in_list = false;
    return self;
}

void received_free(received_bytes *self)
{
    free_if_any(self);
}

unsigned received_take(received_bytes *self, char *into, unsigned at_most)
{
    unsigned length = received_length(self);
    if (length > at_most)
        length = at_most;
    memcpy(into, received_first(self), length);
    self->begin += length;
    return length;
}

} // namespace iocp
