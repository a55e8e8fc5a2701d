#include "backend/listening_socket.h"
#include "backend/transport.h"
#include "compat/sys.h"

#include <new>

namespace iocp {

namespace {

// Of all sockets: as a rule there is none, and nobody has to look.
std::atomic<unsigned> all_left;

struct table {
    SRWLOCK lock;
    LIST_HEAD(, listening_socket) sockets;
};

table all = {SRWLOCK_INIT, {nullptr}};

listening_socket *listening_find(evutil_socket_t fd)
{
    listening_socket *found;
    LIST_FOREACH (found, &all.sockets, listed)
        if (found->fd == fd)
            break;
    return found;
}

void listening_call_back(listening_socket *self)
{
    AcquireSRWLockExclusive(&self->accepts_lock);
    if (self->holder != nullptr)
        self->call_back(self->holder);
    ReleaseSRWLockExclusive(&self->accepts_lock);
}

bool listening_pop(listening_socket *self, left_connection *taken)
{
    AcquireSRWLockExclusive(&self->accepts_lock);
    left_over *first = TAILQ_FIRST(&self->left);
    if (first != nullptr)
        *taken = listening_remove_left(self, first);
    ReleaseSRWLockExclusive(&self->accepts_lock);
    return first != nullptr;
}

// As the backlog is, with the socket.
void listening_close_left(listening_socket *self)
{
    for (left_connection each; listening_pop(self, &each);)
        transport_close_for_good(each.socket);
}

} // namespace

listening_socket *listening_new()
{
    void *memory = mm_calloc(1, sizeof(listening_socket));
    if (memory == nullptr)
        return nullptr;
    auto *made = new (memory) listening_socket();
    TAILQ_INIT(&made->left);
    TAILQ_INIT(&made->sharers);
    return made;
}

listening_socket *listening_begin(evutil_socket_t fd, listening_socket *spare)
{
    AcquireSRWLockExclusive(&all.lock);
    listening_socket *self = listening_find(fd);
    bool joins = self != nullptr;
    if (joins) {
        free_if_any(spare);
    } else if (spare != nullptr) {
        self = spare;
        self->fd = fd;
        LIST_INSERT_HEAD(&all.sockets, self, listed);
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
    bool was_last = --self->users == 0;
    if (was_last)
        LIST_REMOVE(self, listed);
    ReleaseSRWLockExclusive(&all.lock);
    if (was_last) {
        listening_close_left(self);
        mm_free(self);
    }
}

// Accepts in flight end at once, even while their base's thread is busy. One is started and listed under the accepts
// lock, and only while `shared` is false: it is called back, or never begins.
void listening_share(listening_socket *self)
{
    if (!self->shared.exchange(true))
        listening_call_back(self);
}

left_over *listening_leave(listening_socket *self, const left_connection &connection)
{
    auto *left = static_cast<left_over *>(mm_calloc(1, sizeof(left_over)));
    if (left == nullptr)
        return nullptr;
    left->connection = connection;
    if (connection.is_inherited)
        sys::set_inherited(connection.socket, false);
    left->connection.is_inherited = false;
    TAILQ_INSERT_TAIL(&self->left, left, listed);
    ++self->left_count;
    ++all_left;
    return left;
}

void listening_take_back(left_over *given)
{
    if (given->given_to == nullptr)
        return;
    --given->given_to->given;
    --given->given_to->got;
    given->given_to = nullptr;
}

left_connection listening_remove_left(listening_socket *self, left_over *removed)
{
    listening_take_back(removed);
    left_connection connection = removed->connection;
    TAILQ_REMOVE(&self->left, removed, listed);
    --self->left_count;
    --all_left;
    mm_free(removed);
    return connection;
}

bool listening_take(evutil_socket_t fd, left_connection *taken)
{
    if (all_left == 0)
        return false;
    AcquireSRWLockExclusive(&all.lock);
    listening_socket *self = listening_find(fd);
    bool any = self != nullptr && listening_pop(self, taken);
    ReleaseSRWLockExclusive(&all.lock);
    return any;
}

bool listening_has_left(evutil_socket_t fd)
{
    if (all_left == 0)
        return false;
    AcquireSRWLockExclusive(&all.lock);
    listening_socket *self = listening_find(fd);
    bool any = false;
    if (self != nullptr) {
        AcquireSRWLockExclusive(&self->accepts_lock);
        any = !TAILQ_EMPTY(&self->left);
        ReleaseSRWLockExclusive(&self->accepts_lock);
    }
    ReleaseSRWLockExclusive(&all.lock);
    return any;
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
