#include "backend/listening_socket.h"
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

void call_back(listening_socket *self)
{
    AcquireSRWLockExclusive(&self->accepts_lock);
    if (self->holder != nullptr)
        self->call_back(self->holder);
    ReleaseSRWLockExclusive(&self->accepts_lock);
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
    bool joins = self != nullptr;
    if (joins) {
        free_if_any(spare);
    } else if (spare != nullptr) {
        self = spare;
        self->fd = fd;
        self->next = all.first;
        all.first = self;
    }
    if (self != nullptr)
        ++self->users;
    ReleaseSRWLockExclusive(&all.lock);
    if (joins)
        listening_share(self);
    return self;
}

void listening_end(listening_socket *self)
{
    AcquireSRWLockExclusive(&all.lock);
    if (--self->users == 0) {
        listening_socket **place = &all.first;
        while (*place != self)
            place = &(*place)->next;
        *place = self->next;
        mm_free(self);
    }
    ReleaseSRWLockExclusive(&all.lock);
}

// Accepts in flight end at once, even while their base's thread is busy. One that is being started just now is ended by
// whoever starts it, who looks at `shared` afterwards.
void listening_share(listening_socket *self)
{
    if (!self->shared.exchange(true))
        call_back(self);
}

void listening_hold(listening_socket *self, void *holder, call_accepts_back call_back)
{
    AcquireSRWLockExclusive(&self->accepts_lock);
    if (self->holder == nullptr) {
        self->holder = holder;
        self->call_back = call_back;
    }
    ReleaseSRWLockExclusive(&self->accepts_lock);
}

void listening_let_go(listening_socket *self, const void *holder)
{
    AcquireSRWLockExclusive(&self->accepts_lock);
    if (self->holder == holder)
        self->holder = nullptr;
    ReleaseSRWLockExclusive(&self->accepts_lock);
}

} // namespace iocp
