// libevent's listener on a port: where its functions meet the acceptor (see compat/listener_slot.h).
#include "bufferevent/listener.h"
#include "backend/listening_socket.h"
#include "backend/socket_interest.h"
#include "bufferevent/acceptor.h"
#include "bufferevent/acceptor_left_over.h"
#include "bufferevent/listener_bases.h"
#include "bufferevent/moving.h"

#include "compat/listener_slot.h"

#include <atomic>

using namespace iocp;

namespace {

struct listener_table {
    SRWLOCK lock;
    LIST_HEAD(, listener_record) all;
};

listener_table listeners = {SRWLOCK_INIT, {nullptr}};

// What libevent's listeners are called by, once there is one.
std::atomic<event_callback_fn> listener_callback;

// Lock held.
listener_record *listener_record_of(const struct evconnlistener *listener)
{
    listener_record *found;
    LIST_FOREACH (found, &listeners.all, listed)
        if (found->listener == listener)
            break;
    return found;
}

void listener_remember(listener_record *added)
{
    added->users = 1;
    AcquireSRWLockExclusive(&listeners.lock);
    LIST_INSERT_HEAD(&listeners.all, added, listed);
    ReleaseSRWLockExclusive(&listeners.lock);
}

listener_record *listener_forget(const struct evconnlistener *listener)
{
    AcquireSRWLockExclusive(&listeners.lock);
    listener_record *removed = listener_record_of(listener);
    if (removed != nullptr)
        LIST_REMOVE(removed, listed);
    ReleaseSRWLockExclusive(&listeners.lock);
    return removed;
}

listener_record *listener_take(const struct evconnlistener *listener)
{
    AcquireSRWLockExclusive(&listeners.lock);
    listener_record *found = listener_record_of(listener);
    if (found != nullptr)
        ++found->users;
    ReleaseSRWLockExclusive(&listeners.lock);
    return found;
}

void listener_let_go(listener_record *used)
{
    AcquireSRWLockExclusive(&listeners.lock);
    bool was_last = --used->users == 0;
    ReleaseSRWLockExclusive(&listeners.lock);
    if (was_last)
        mm_free(used);
}

// An accept in flight may have taken a connection, which nobody but its listener can have from then on. On select it
// waits in the backlog, for whoever uses the socket when the listener is gone. So it takes a listener that closes the
// socket.
acceptor *listener_new_acceptor(struct event_base *base, evutil_socket_t fd, listening_socket *on, unsigned flags)
{
    backend *owner = backend_of(base);
    if (owner == nullptr || (flags & LEV_OPT_CLOSE_ON_FREE) == 0 || environment_asks(base, "EVENT_IOCP_NO_ACCEPTEX") ||
        event_get_win32_extension_fns_()->AcceptEx == nullptr)
        return nullptr;
    base_locked held(base);
    acceptor *own = acceptor_attach(owner, fd, on, (flags & LEV_OPT_CLOSE_ON_EXEC) == 0);
    return own;
}

// What is needed beside libevent's listener, so that nothing can fail once that is made.
struct preparation {
    listener_record *record;
    listening_socket *spare;
};

bool listener_prepare(preparation *self)
{
    self->record = static_cast<listener_record *>(mm_calloc(1, sizeof(listener_record)));
    self->spare = self->record != nullptr ? listening_new() : nullptr;
    if (self->spare == nullptr)
        free_if_any(self->record);
    return self->spare != nullptr;
}

// libevent does not look whether its listener could be enabled. So what can fail beside its own is done before, and
// what its own has failed has a second try.
bool listener_reserve(struct event_base *base, evutil_socket_t fd)
{
    backend *owner = base != nullptr ? backend_of(base) : nullptr;
    if (owner == nullptr || fd < 0)
        return true;
    base_locked held(base);
    return socket_obtain(owner, fd) != nullptr;
}

// A listener is made disabled, so that its acceptor is there before its event is, and is enabled here.
bool listener_enabled_as_asked(struct evconnlistener *listener, unsigned flags)
{
    return listener == nullptr || (flags & LEV_OPT_DISABLED) != 0 || evconnlistener_enable(listener) == 0 ||
           evconnlistener_enable(listener) == 0;
}

// Those of a base on select take from the backlog, whosever turn it is.
void listener_join(listener_record *self, struct event_base *base)
{
    backend *owner = backend_of(base);
    if (owner == nullptr) {
        self->listening->has_others = true;
        return;
    }
    base_locked held(base);
    socket_record *record = socket_obtain(owner, self->listening->fd);
    if (record == nullptr)
        return;
    record->has_listeners = true;
    self->sharer = round_join(owner, self->listening);
}

void listener_leave(listener_record *self)
{
    listening_sharer *sharer = self->sharer;
    if (sharer == nullptr)
        return;
    base_locked held(sharer->owner != nullptr ? sharer->owner->base : nullptr);
    round_leave(sharer);
}

struct evconnlistener *listener_attach(struct evconnlistener *listener, const preparation &prepared, unsigned flags,
                                       evconnlistener_cb callback, void *argument)
{
    struct event_base *base = listener != nullptr ? evconnlistener_get_base(listener) : nullptr;
    if (base == nullptr) {
        free_if_any(prepared.spare);
        free_if_any(prepared.record);
        return listener;
    }
    evutil_socket_t fd = evconnlistener_get_fd(listener);
    listener_record *record = prepared.record;
    record->listener = listener;
    record->callback = callback;
    record->argument = argument;
    record->flags = flags;
    record->is_disabled = true;
    record->listening = listening_begin(fd, prepared.spare);
    record->own = listener_new_acceptor(base, fd, record->listening, flags);
    listener_join(record, base);
    listener_remember(record);
    return listener;
}

// By which the base's events go. In the loop's thread it stays there until the next turn, whoever frees its listener.
acceptor *listener_acceptor_in_use(struct event_base *base, evutil_socket_t fd)
{
    backend *owner = backend_of(base);
    if (owner == nullptr)
        return nullptr;
    base_locked held(base);
    acceptor *own = acceptor_find(owner, fd);
    if (own != nullptr && !own->as_source.in_use)
        own = nullptr;
    return own;
}

// libevent's, and no program's, which may have a listener for its argument.
bool listener_waits_by(const struct event *waiting)
{
    return event_get_callback(waiting) == listener_callback;
}

// An event of the program's own waits for a socket that listeners have: its accept() finds whom it is told of, as on
// select. With the base's lock held.
void listener_share_with_program(const socket_record *record, const struct event *waiting)
{
    listening_socket *on = record->poll != nullptr ? record->poll->listening : nullptr;
    if (record->own != nullptr) {
        const acceptor *own = acceptor_find(record->owner, waiting->ev_fd);
        on = own != nullptr ? own->listening : on;
    }
    if (on == nullptr || listener_waits_by(waiting))
        return;
    on->has_others = true;
    listening_share(on);
}

// The program is told of that one next, and nobody knows how long it takes.
evutil_socket_t listener_accept_own(acceptor *own, struct sockaddr *address, ev_socklen_t *length, int flags)
{
    evutil_socket_t taken = acceptor_take(own, address, length, flags);
    if (taken >= 0) {
        base_locked held(acceptor_owner(own)->base);
        rounds_pass_on(acceptor_owner(own));
    }
    return taken;
}

// As evutil_accept4_, for a listener whose connections are handed round. With the base's lock held.
evutil_socket_t listener_accept_in_turn(listening_sharer *self, struct sockaddr *address, ev_socklen_t *length,
                                        int flags)
{
    int error;
    do {
        left_connection taken;
        error = round_accept(self, &taken);
        int refused = error == 0 ? left_over_finish(self->socket->fd, taken, address, length, flags) : error;
        if (sys::is_shortage(refused))
            error = refused;
        if (refused != 0)
            continue;
        if ((flags & EVUTIL_SOCK_NONBLOCK) != 0)
            socket_note_accepted(self->owner, static_cast<evutil_socket_t>(taken.socket));
        return static_cast<evutil_socket_t>(taken.socket);
    } while (error == 0);
    WSASetLastError(error);
    return EVUTIL_INVALID_SOCKET;
}

} // namespace

namespace iocp {

listener_record *listener_find(const struct evconnlistener *listener)
{
    AcquireSRWLockShared(&listeners.lock);
    listener_record *found = listener_record_of(listener);
    ReleaseSRWLockShared(&listeners.lock);
    return found;
}

listener_use::listener_use(const struct evconnlistener *listener) : of(listener_take(listener))
{
}

listener_use::~listener_use()
{
    if (of != nullptr)
        listener_let_go(of);
}

void listener_await_uses(const listener_record *freed)
{
    bool is_used = true;
    for (unsigned looks = 0; is_used; ++looks) {
        AcquireSRWLockShared(&listeners.lock);
        is_used = freed->users > 1;
        ReleaseSRWLockShared(&listeners.lock);
        if (is_used)
            sys::let_others_run(looks);
    }
}

acceptor *listener_acceptor(const struct evconnlistener *listener)
{
    const listener_record *found = listener_find(listener);
    return found != nullptr ? found->own : nullptr;
}

} // namespace iocp

extern "C" {

struct evconnlistener *evconnlistener_new(struct event_base *base, evconnlistener_cb callback, void *argument,
                                          unsigned flags, int backlog, evutil_socket_t fd)
{
    preparation prepared;
    if (!listener_reserve(base, fd) || !listener_prepare(&prepared))
        return nullptr;
    struct evconnlistener *made =
        iocp_stock_evconnlistener_new(base, callback, argument, flags | LEV_OPT_DISABLED, backlog, fd);
    made = listener_attach(made, prepared, flags, callback, argument);
    if (!listener_enabled_as_asked(made, flags))
        event_warnx("iocp: a listener could not be enabled");
    return made;
}

struct evconnlistener *evconnlistener_new_bind(struct event_base *base, evconnlistener_cb callback, void *argument,
                                               unsigned flags, int backlog, const struct sockaddr *address, int length)
{
    preparation prepared;
    if (!listener_prepare(&prepared))
        return nullptr;
    struct evconnlistener *made = iocp_stock_evconnlistener_new_bind(base, callback, argument, flags | LEV_OPT_DISABLED,
                                                                     backlog, address, length);
    made = listener_attach(made, prepared, flags, callback, argument);
    if (listener_enabled_as_asked(made, flags))
        return made;
    evutil_socket_t fd = evconnlistener_get_fd(made);
    evconnlistener_free(made);
    if ((flags & LEV_OPT_CLOSE_ON_FREE) == 0)
        evutil_closesocket(fd);
    return nullptr;
}

void evconnlistener_free(struct evconnlistener *listener)
{
    listener_record *record = listener_forget(listener);
    if (record != nullptr) {
        // With parts, it waits for its own callback, too. (Not with libevent's lock, which is held meanwhile.)
        if (record->part_count > 0 && (record->flags & LEV_OPT_THREADSAFE) == 0)
            iocp_stock_evconnlistener_disable(listener);
        listener_bases_free(record);
        // A base that was freed first has left the socket with all its listeners.
        bool has_left = record->own != nullptr && record->own->listening == nullptr;
        if (record->own != nullptr)
            acceptor_detach(record->own);
        listener_leave(record);
        if (!has_left)
            listening_end(record->listening);
        listener_let_go(record);
    }
    iocp_stock_evconnlistener_free(listener);
}

evutil_socket_t iocp_accept4(struct event_base *base, evutil_socket_t fd, struct sockaddr *address,
                             ev_socklen_t *length, int flags)
{
    acceptor *own = listener_acceptor_in_use(base, fd);
    if (own != nullptr)
        return listener_accept_own(own, address, length, flags);
    backend *owner = backend_of(base);
    if (owner != nullptr) {
        base_locked held(base);
        listening_sharer *sharer = round_find(owner, fd);
        if (sharer != nullptr)
            return listener_accept_in_turn(sharer, address, length, flags);
    }
    SOCKET left = INVALID_SOCKET;
    int error = left_over_take(fd, &left, address, length, flags);
    if (sys::is_shortage(error))
        WSASetLastError(error);
    if (error == 0 || sys::is_shortage(error))
        return static_cast<evutil_socket_t>(left);
    return evutil_accept4_(fd, address, length, flags);
}

// Where libevent calls evmap_io_add_ (see compat/event_slot.h).
int iocp_evmap_io_add(struct event_base *base, evutil_socket_t fd, struct event *added)
{
    backend *owner = backend_of(base);
    int changed = evmap_io_add_(base, fd, added);
    const socket_record *record = owner != nullptr ? socket_find(owner, fd) : nullptr;
    if (record != nullptr && changed == 0 && interest_revive(record))
        changed = 1; // the loop is to be woken
    if (record != nullptr && changed >= 0 && stream_note_event(record, added))
        changed = 1;
    if (changed < 0 || (added->ev_events & EV_READ) == 0)
        return changed;
    if (record != nullptr)
        listener_share_with_program(record, added);
    if (moving_is_ready(base, added) || (listening_has_left(fd) && listener_waits_by(added)))
        event_active_nolock_(added, EV_READ, 1); // no backend knows of those
    return changed;
}

int iocp_listener_event_assign(struct event *assigned, struct event_base *base, evutil_socket_t fd, short events,
                               event_callback_fn callback, void *listener)
{
    listener_callback = callback;
    return event_assign(assigned, base, fd, events, callback, listener);
}

int iocp_accept_error(struct event_base *base, evutil_socket_t fd)
{
    int error = WSAGetLastError();
    return listener_acceptor_in_use(base, fd) != nullptr ? error : evutil_socket_geterror(fd);
}
}
