#include "backend/listening_socket.h"
#include "compat/sys.h"

#include <new>

namespace iocp {

namespace {

struct table {
    SRWLOCK lock;
    listening_socket *first;
};

table all = {SRWLOCK_INIT, nullptr};

listening_socket *find(evutil_socket_t fd)
{
    listening_socket *found = all.first;
    while (found != nullptr && found->fd != fd)
        found = found->next;
    return found;
}

} // namespace

listening_socket *listening_new()
{
    void *memory = mm_calloc(1, sizeof(listening_socket));
    return memory != nullptr ? new (memory) listening_socket() : nullptr;
}

listening_socket *listening_begin(evutil_socket_t fd, listening_socket *spare)
{
    AcquireSRWLockExclusive(&all.lock);
    listening_socket *self = find(fd);
    bool ends_accepts = self != nullptr && !self->shared.exchange(true);
    if (self != nullptr) {
        mm_free(spare);
    } else {
        self = spare;
        self->fd = fd;
        self->next = all.first;
        all.first = self;
    }
    ++self->listeners;
    ReleaseSRWLockExclusive(&all.lock);
    // Accepts in flight end at once, even while their base's thread is busy. One that is being started just now is ended
    // by whoever starts it, who looks at `shared` afterwards.
    if (ends_accepts)
        sys::cancel(reinterpret_cast<HANDLE>(fd), nullptr);
    return self;
}

void listening_end(listening_socket *self)
{
    AcquireSRWLockExclusive(&all.lock);
    if (--self->listeners == 0) {
        listening_socket **place = &all.first;
        while (*place != self)
            place = &(*place)->next;
        *place = self->next;
        mm_free(self);
    }
    ReleaseSRWLockExclusive(&all.lock);
}

} // namespace iocp
