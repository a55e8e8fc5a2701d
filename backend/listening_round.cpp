#include "backend/listening_round.h"
#include "backend/backend.h"

#include <limits.h>
#include <new>

namespace iocp {

namespace {

class round_locked {
public:
    explicit round_locked(listening_socket *socket) : lock(&socket->accepts_lock) { AcquireSRWLockExclusive(lock); }
    ~round_locked() { ReleaseSRWLockExclusive(lock); }
    round_locked(const round_locked &) = delete;
    round_locked &operator=(const round_locked &) = delete;

private:
    SRWLOCK *lock;
};

void round_call_came(struct event_overlapped *, ev_uintptr_t, ev_ssize_t, int)
{
    // Whoever slept has woken: rounds_wake has seen to the rest.
}

bool round_attends(const listening_sharer *self)
{
    return self->listens && self->owner->rounds.state != attention::awake;
}

// False: it is awake. From here on it is with the socket's accepts lock held.
bool round_call(listening_sharer *self)
{
    base_rounds *called = &self->owner->rounds;
    attention state = attention::asleep;
    if (!called->state.compare_exchange_strong(state, attention::called))
        return state == attention::called;
    if (sys::port_post(self->owner->port->for_libevent.port, port_uncounted_key, 0, &called->call.overlapped) == 0)
        return true;
    state = attention::called;
    called->state.compare_exchange_strong(state, attention::asleep);
    return false;
}

// False: it has not got it, since it is awake.
bool round_give(listening_sharer *to, left_over *connection)
{
    connection->given_to = to;
    ++to->given;
    ++to->got;
    if (round_call(to)) {
        ++connection->passes;
        return true;
    }
    connection->given_to = nullptr;
    --to->given;
    --to->got;
    return false;
}

// Nobody is behind the others by more than that.
void round_forgive(listening_socket *socket)
{
    listening_sharer *each;
    unsigned most = 0;
    TAILQ_FOREACH (each, &socket->sharers, in_socket)
        if (each->got > most)
            most = each->got;
    TAILQ_FOREACH (each, &socket->sharers, in_socket)
        if (each->got + max_behind < most)
            each->got = most - max_behind;
}

// Whoever has the least is next.
unsigned round_share(const listening_sharer *self)
{
    return self->socket->by_load ? self->owner->rounds.connections + self->given : self->got;
}

// Who is next, of the base itself (NULL: not) and those that can take one at once.
listening_sharer *round_choose(listening_socket *socket, listening_sharer *self, unsigned most_given)
{
    round_forgive(socket);
    listening_sharer *chosen = nullptr, *each;
    TAILQ_FOREACH (each, &socket->sharers, in_socket)
        if ((each == self || (round_attends(each) && each->given < most_given)) &&
            (chosen == nullptr || round_share(each) < round_share(chosen)))
            chosen = each;
    if (chosen != nullptr) {
        TAILQ_REMOVE(&socket->sharers, chosen, in_socket);
        TAILQ_INSERT_TAIL(&socket->sharers, chosen, in_socket);
    }
    return chosen;
}

// What nobody was told of goes to who sleeps: all that `from` was given, and what nobody was.
void round_pass_on(listening_socket *socket, const listening_sharer *from, unsigned most_passes)
{
    left_over *each;
    TAILQ_FOREACH (each, &socket->left, listed) {
        if ((each->given_to != nullptr && each->given_to != from) || each->passes >= most_passes)
            continue;
        // Whoever does not take it has woken, or cannot be called.
        bool is_given = false;
        for (unsigned tries = 0; !is_given && tries < socket->sharer_count; ++tries) {
            listening_sharer *to = round_choose(socket, nullptr, 1);
            if (to == nullptr)
                break;
            listening_take_back(each);
            is_given = round_give(to, each);
        }
        if (!is_given)
            return;
    }
}

// Given to it; to nobody; to somebody who does something else.
left_over *round_find_left(const listening_sharer *self)
{
    left_over *each, *found = nullptr;
    TAILQ_FOREACH (each, &self->socket->left, listed) {
        const listening_sharer *to = each->given_to;
        if (to == self)
            return each;
        if (found == nullptr && (to == nullptr || !round_attends(to)))
            found = each;
    }
    return found;
}

bool round_take_left(listening_sharer *self, left_connection *taken)
{
    left_over *found = round_find_left(self);
    if (found == nullptr)
        return false;
    ++self->got;
    *taken = listening_remove_left(self->socket, found);
    return true;
}

// 0: it was accepted for the base itself. WSAEWOULDBLOCK: nobody waits any more.
int round_accept_next(listening_sharer *self, left_connection *taken)
{
    for (unsigned given = 0; given < max_given_at_once;) {
        left_connection next = {};
        next.is_finished = next.is_inherited = true;
        next.peer_length = sizeof(next.peer);
        int error = sys::accept_now(static_cast<SOCKET>(self->socket->fd), &next.socket,
                                    reinterpret_cast<struct sockaddr *>(&next.peer), &next.peer_length);
        if (error != 0)
            return error;
        listening_sharer *chosen = round_choose(self->socket, self, max_given);
        left_over *left = chosen != self ? listening_leave(self->socket, next) : nullptr;
        if (left != nullptr && round_give(chosen, left)) {
            ++given;
            continue;
        }
        *taken = left != nullptr ? listening_remove_left(self->socket, left) : next;
        ++self->got;
        return 0;
    }
    return WSAEWOULDBLOCK;
}

// NULL: it has no listener there.
listening_sharer *round_of(backend *owner, evutil_socket_t fd)
{
    listening_sharer *each;
    LIST_FOREACH (each, &owner->rounds.sharers, in_base)
        if (each->socket->fd == fd)
            break;
    return each;
}

bool round_is_on(const listening_sharer *self)
{
    return self->socket->sharer_count > 1 && !self->socket->has_others;
}

// Nobody was called for what is left now: whoever does not sleep finds it when it looks next.
void round_owe_others(const listening_sharer *self)
{
    listening_sharer *each;
    if (!TAILQ_EMPTY(&self->socket->left))
        TAILQ_FOREACH (each, &self->socket->sharers, in_socket)
            each->is_owed = each->is_owed || each != self;
}

// Also where no others are left to hand round to. A program's own event there is told, too, of what its accept() cannot
// have: once, since nobody knows whether a listener beside it is enabled and takes that.
bool round_finds_left(listening_sharer *self)
{
    round_locked held(self->socket);
    bool may_tell = self->is_owed || !self->socket->has_others;
    self->is_owed = false;
    return may_tell && self->listens && round_find_left(self) != nullptr;
}

void round_activate(const listening_sharer *self)
{
    evmap_io_active_(self->owner->base, self->socket->fd, EV_READ);
}

} // namespace

void rounds_init(base_rounds *self)
{
    LIST_INIT(&self->sharers);
    LIST_INIT(&self->guests);
    new (&self->connections) std::atomic<unsigned>(0);
    new (&self->state) std::atomic<attention>(attention::awake);
    event_overlapped_init_(&self->call, round_call_came);
}

void rounds_count(base_rounds *self, int more)
{
    // Others only read it: no bus is locked for that.
    self->connections.store(self->connections.load(std::memory_order_relaxed) + static_cast<unsigned>(more),
                            std::memory_order_relaxed);
}

listening_sharer *round_join(backend *owner, listening_socket *socket)
{
    listening_sharer *self;
    LIST_FOREACH (self, &owner->rounds.sharers, in_base)
        if (self->socket == socket)
            break;
    if (self == nullptr) {
        self = static_cast<listening_sharer *>(mm_calloc(1, sizeof(listening_sharer)));
        if (self == nullptr)
            return nullptr;
        self->socket = socket;
        self->owner = owner;
        LIST_INSERT_HEAD(&owner->rounds.sharers, self, in_base);
        round_locked held(socket);
        TAILQ_INSERT_TAIL(&socket->sharers, self, in_socket);
        // An accept() that finds nobody must not wait for the next one. (libevent's listeners ask that of the program.)
        if (++socket->sharer_count > 1 && sys::set_blocking(static_cast<SOCKET>(socket->fd), false) != 0)
            socket->has_others = true;
    }
    ++self->listeners;
    return self;
}

namespace {

void round_part(listening_sharer *self)
{
    round_locked held(self->socket);
    self->listens = false;
    round_pass_on(self->socket, self, UINT_MAX);
    left_over *each;
    TAILQ_FOREACH (each, &self->socket->left, listed)
        if (each->given_to == self)
            listening_take_back(each);
    round_owe_others(self);
    TAILQ_REMOVE(&self->socket->sharers, self, in_socket);
    --self->socket->sharer_count;
    LIST_REMOVE(self, in_base);
    if (LIST_EMPTY(&self->owner->rounds.sharers))
        self->owner->rounds.state = attention::awake; // it will not look at this when it wakes
    self->owner = nullptr;
}

} // namespace

void round_leave(listening_sharer *self)
{
    if (--self->listeners > 0)
        return;
    if (self->owner != nullptr)
        round_part(self);
    mm_free(self);
}

void rounds_end(backend *owner)
{
    while (!LIST_EMPTY(&owner->rounds.guests)) {
        round_guest *guest = LIST_FIRST(&owner->rounds.guests);
        LIST_REMOVE(guest, in_base);
        guest->base_ends(guest);
    }
    while (!LIST_EMPTY(&owner->rounds.sharers))
        round_part(LIST_FIRST(&owner->rounds.sharers));
}

void rounds_listen(backend *owner, evutil_socket_t fd, bool listens)
{
    listening_sharer *self = round_of(owner, fd);
    if (self == nullptr)
        return;
    round_locked held(self->socket);
    self->listens = listens;
    if (listens)
        return;
    round_pass_on(self->socket, self, UINT_MAX);
    round_owe_others(self);
}

listening_sharer *round_find(backend *owner, evutil_socket_t fd)
{
    listening_sharer *found = round_of(owner, fd);
    return found != nullptr && round_is_on(found) ? found : nullptr;
}

int round_accept(listening_sharer *self, left_connection *taken)
{
    int error;
    {
        round_locked held(self->socket);
        error = round_take_left(self, taken) ? 0 : round_accept_next(self, taken);
    }
    if (error == 0)
        rounds_pass_on(self->owner); // the program is told next, and nobody knows how long that takes
    return error;
}

bool rounds_look(backend *owner)
{
    bool any = false;
    listening_sharer *each;
    LIST_FOREACH (each, &owner->rounds.sharers, in_base) {
        if (each->socket->left_count == 0 || !round_finds_left(each))
            continue;
        round_activate(each);
        any = true;
    }
    return any;
}

// Whoever gives looks at the state after it has left something; here it is the other way round: one of the two sees the
// other.
bool rounds_sleep(backend *owner)
{
    base_rounds *self = &owner->rounds;
    if (LIST_EMPTY(&self->sharers))
        return true;
    self->state = attention::asleep;
    bool any = rounds_look(owner);
    if (any)
        rounds_wake(owner);
    return !any;
}

bool rounds_wake(backend *owner)
{
    base_rounds *self = &owner->rounds;
    if (LIST_EMPTY(&self->sharers) || self->state.exchange(attention::awake) != attention::called)
        return false;
    if (N_ACTIVE_CALLBACKS(owner->base) > 0)
        rounds_pass_on(owner); // another thread has activated something
    listening_sharer *each;
    LIST_FOREACH (each, &self->sharers, in_base) {
        bool has_any;
        {
            round_locked held(each->socket);
            has_any = each->given > 0;
        }
        if (has_any)
            round_activate(each);
    }
    return true;
}

void rounds_pass_on(backend *owner)
{
    listening_sharer *each;
    LIST_FOREACH (each, &owner->rounds.sharers, in_base) {
        if (each->socket->left_count == 0)
            continue;
        round_locked held(each->socket);
        round_pass_on(each->socket, each, max_passes);
    }
}

} // namespace iocp
