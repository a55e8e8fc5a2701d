#include "bufferevent/acceptor.h"
#include "backend/socket_interest.h"
#include "backend/socket_record.h"
#include "bufferevent/acceptor_backlog.h"
#include "bufferevent/acceptor_first_data.h"
#include "bufferevent/acceptor_left_over.h"
#include "bufferevent/acceptor_lists.h"
#include "bufferevent/acceptor_shortage.h"

namespace iocp {

namespace {

acceptor *acceptor_from_source(source *as_source)
{
    return reinterpret_cast<acceptor *>(as_source);
}

void acceptor_accept_freed(completion *operation, int, DWORD)
{
    accept_operation_free(reinterpret_cast<accept_operation *>(operation));
}

short acceptor_ready(const source *as_source)
{
    auto *self = reinterpret_cast<const acceptor *>(as_source);
    bool any = !TAILQ_EMPTY(&self->done) || listening_has_left(source_descriptor(as_source));
    return any || self->error != 0 || backlog_is_due(self) ? EV_READ : 0;
}

// A failed accept says nothing of the listener: its peer has gone, or its thread has ended. Another takes its place.
void acceptor_accept_ended(completion *operation, int error, DWORD bytes)
{
    auto *accepting = reinterpret_cast<accept_operation *>(operation);
    acceptor *self = accepting->owner;
    accepting->length = bytes;
    // A peer that has gone came all the same: the depth follows those as well.
    bool peer_came = !sys::is_shortage(error) && error != WSA_OPERATION_ABORTED;
    if (error == 0 && accepting->socket != INVALID_SOCKET) {
        pending_is_done(self, accepting);
    } else {
        remove_pending(self, accepting);
        accept_operation_free(accepting);
        if (sys::is_shortage(error))
            shortage_tell(self, error);
    }
    if (peer_came) {
        ++self->done_in_turn;
        backlog_accept_ended(self);
    }
    source_ready(&self->as_source, acceptor_ready(&self->as_source));
}

const completion_ops accept_ops = {operation_kind::accept, acceptor_accept_ended, acceptor_accept_freed};

// Starts one accept. 0, or why not.
int acceptor_start_one(acceptor *self)
{
    unsigned room = first_data_room(self);
    accept_operation *accepting = accept_operation_new(self, &accept_ops, room);
    if (accepting == nullptr)
        return WSAENOBUFS;
    auto listener = static_cast<SOCKET>(acceptor_descriptor(self));
    int error = sys::socket_like(self->kind, &accepting->socket);
    if (error != 0) {
        accept_operation_free(accepting);
        return error;
    }
    port *on = acceptor_owner(self)->port;
    bool skips_packets = socket_of(&self->as_source)->skips_packets;
    accepts_locked held(self);
    if (self->listening->shared) {
        accept_operation_free(accepting);
        return WSAEADDRINUSE;
    }
    OVERLAPPED *overlapped = completion_begin(&accepting->operation, acceptor_descriptor(self));
    sys::start_result result = completion_settle_start(
        on, &accepting->operation,
        sys::accept(listener, accepting->socket, accepting->buffer, room, address_room, overlapped, skips_packets));
    accepting->length = result.bytes;
    if (result.how != sys::started::pending && !sys::is_shortage(result.error))
        ++self->done_in_turn;
    if (result.how == sys::started::pending) {
        push_pending(self, accepting);
    } else if (result.how == sys::started::done) {
        push_done(self, accepting);
        backlog_accept_found(self);
    } else {
        accept_operation_free(accepting);
    }
    return result.error;
}

// In flight should be as many as came in the last turn, or their share: doubling while that is more, shrinking by one.
void acceptor_adapt_depth(acceptor *self)
{
    bool shares = backlog_is_open(self);
    unsigned needed = shares ? self->done_in_turn / connections_per_accept : self->done_in_turn;
    // If they come by AcceptEx alone, no more than are in flight can come: that all did is the sign.
    if (shares ? needed > self->depth : needed >= self->depth)
        self->depth = self->depth * 2 < max_accepts ? self->depth * 2 : max_accepts;
    else if (needed * 4 < self->depth && self->depth > min_accepts)
        --self->depth;
    self->done_in_turn = self->taken_in_turn = 0;
}

// None that would take, at more cost, what accept() will.
bool acceptor_wants_more(const acceptor *self)
{
    return !backlog_is_due(self) && self->pending_count - first_data_engaged(self) < self->depth &&
           self->pending_count < max_accepts_in_flight;
}

// It is polled once nothing is in flight.
void acceptor_stop_starting(acceptor *self)
{
    self->plain = true;
    first_data_stop_watching(self);
}

void acceptor_go_plain(acceptor *self)
{
    acceptor_stop_starting(self);
    accept_operation *each;
    TAILQ_FOREACH (each, &self->pending, listed)
        completion_cancel(&each->operation);
}

void acceptor_fill(acceptor *self)
{
    acceptor_adapt_depth(self);
    if (shortage_pauses_starts(self)) {
        acceptor_owner(self)->loop.retry_soon = true;
        source_queue(&self->as_source);
        return;
    }
    // A peer that resets at once may end each attempt: bounded, like everything.
    for (unsigned attempts = 0; acceptor_wants_more(self) && attempts < max_accepts; ++attempts) {
        int error = acceptor_start_one(self);
        if (error == 0)
            continue;
        if (sys::is_shortage(error)) {
            shortage_of_start(self, error);
            return;
        }
        if (error != WSAECONNRESET && error != WSAECONNABORTED) {
            acceptor_stop_starting(self);
            return;
        }
    }
    if (acceptor_wants_more(self)) { // others get their turn
        acceptor_owner(self)->loop.retry_soon = true;
        source_queue(&self->as_source);
    }
}

int acceptor_widened(source *, bool)
{
    return 0;
}

// While nobody listens, who connects waits in the backlog, for whoever takes it from there. (With room for first data
// an accept may have a peer already, which a cancel would lose.)
void acceptor_narrowed(source *as_source)
{
    if (as_source->wanted != 0)
        return;
    source_unqueue(as_source);
    accept_operation *each;
    TAILQ_FOREACH (each, &acceptor_from_source(as_source)->pending, listed)
        if (each->room == 0)
            completion_cancel(&each->operation);
    backlog_withdraw(acceptor_from_source(as_source));
}

// Others use the socket as well.
void acceptor_make_way(acceptor *self)
{
    if (self->listening->shared)
        acceptor_go_plain(self);
}

short acceptor_submit(source *as_source)
{
    acceptor *self = acceptor_from_source(as_source);
    if ((as_source->wanted & EV_READ) == 0)
        return 0;
    acceptor_make_way(self);
    if (backlog_comes_first(self)) {
        if (!TAILQ_EMPTY(&self->done))
            return EV_READ;
        acceptor_adapt_depth(self);
        int error = backlog_look(self, &accept_ops);
        if (sys::is_shortage(error))
            shortage_tell(self, error);
        if (error == 0 || sys::is_shortage(error))
            return EV_READ;
    }
    for (unsigned fills = 0; !self->plain && fills < max_fills; ++fills) {
        acceptor_fill(self);
        if (!first_data_filled(self))
            break;
    }
    acceptor_make_way(self);
    if (self->plain && TAILQ_EMPTY(&self->pending) && self->error == 0 && !holds_done(self)) {
        // What is left over is told of once more: who listens takes it all, and who begins to listen is told then.
        if (listening_has_left(source_descriptor(as_source)))
            source_ready(as_source, EV_READ);
        source_owner(as_source)->loop.retry_soon = true; // its poll is started by the next turn
        interest_fall_back(as_source);
        return 0;
    }
    return acceptor_ready(as_source);
}

source_place acceptor_waits_in(const source *as_source)
{
    return backlog_comes_first(reinterpret_cast<const acceptor *>(as_source)) ? source_place::receiving
                                                                              : source_place::starting;
}

// Its listeners free it. They use the socket no more, whether they are freed or not.
void acceptor_base_ends(source *as_source)
{
    acceptor *self = acceptor_from_source(as_source);
    listening_let_go(self->listening, self);
    for (unsigned i = 0; i < self->listeners; ++i)
        listening_end(self->listening);
    self->listening = nullptr;
    as_source->of = nullptr;
}

const source_ops acceptor_ops = {acceptor_widened,   acceptor_narrowed, acceptor_ready, acceptor_submit,
                                 acceptor_base_ends, acceptor_waits_in, nullptr};

// Makes a connection out of what the accept left. 0; a shortage; or its peer has gone meanwhile.
int acceptor_finish(acceptor *self, accept_operation *accepting, struct sockaddr *address, ev_socklen_t *length,
                    int flags)
{
    if (accepting->by_accept) {
        acceptor_give_address(reinterpret_cast<struct sockaddr *>(accepting->buffer), accepting->peer_length, address,
                              length);
        return backlog_set_mode(accepting->socket, accepting->inherited, flags);
    }
    auto listener = static_cast<SOCKET>(acceptor_descriptor(self));
    int error = accept_finish(listener, accepting->socket, flags);
    if (error == 0)
        error = accept_peer_address(listener, accepting, address, length);
    if (error != 0)
        return error;
    return first_data_keep(self, accepting) ? 0 : WSAENOBUFS;
}

// From an accept that has ended. A shortage is told before it costs the next connection.
SOCKET acceptor_take_done(acceptor *self, struct sockaddr *address, ev_socklen_t *length, int flags)
{
    SOCKET taken = INVALID_SOCKET;
    int error = 0;
    while (taken == INVALID_SOCKET && !sys::is_shortage(error) && !TAILQ_EMPTY(&self->done)) {
        accept_operation *accepting = pop_done(self);
        bool is_there = accepting->socket != INVALID_SOCKET;
        error = is_there ? acceptor_finish(self, accepting, address, length, flags) : 0;
        if (is_there && error == 0) {
            taken = accepting->socket;
            accepting->socket = INVALID_SOCKET;
        }
        accept_operation_free(accepting);
    }
    if (sys::is_shortage(error))
        shortage_tell(self, error);
    return taken;
}

// Those came after the ones that accepts in flight have taken.
SOCKET acceptor_take_waiting(acceptor *self, struct sockaddr *address, ev_socklen_t *length, int flags)
{
    SOCKET taken = INVALID_SOCKET;
    struct sockaddr_storage peer;
    int peer_length = 0;
    int error = backlog_take(self, flags, &taken, &peer, &peer_length);
    if (error == 0)
        acceptor_give_address(reinterpret_cast<struct sockaddr *>(&peer), peer_length, address, length);
    else if (sys::is_shortage(error))
        shortage_tell(self, error);
    return error == 0 ? taken : INVALID_SOCKET;
}

} // namespace

acceptor *acceptor_attach(backend *owner, evutil_socket_t fd, listening_socket *on, bool inherit)
{
    acceptor *known = acceptor_find(owner, fd);
    if (known != nullptr) {
        ++known->listeners;
        return known;
    }
    // A program may hand over a socket and have it listen later, or never: a poll tells what becomes of it.
    if (owner->draining || !sys::is_listening(static_cast<SOCKET>(fd)))
        return nullptr;
    socket_record *record = socket_obtain(owner, fd);
    auto *self = record != nullptr ? static_cast<acceptor *>(mm_calloc(1, sizeof(acceptor))) : nullptr;
    if (self == nullptr)
        return nullptr;
    source_init(&self->as_source, &acceptor_ops, record);
    self->listening = on;
    TAILQ_INIT(&self->pending);
    TAILQ_INIT(&self->done);
    self->listeners = 1;
    self->depth = min_accepts;
    self->inherit = inherit;
    self->never_blocks = sys::set_blocking(static_cast<SOCKET>(fd), false) == 0; // as libevent asks of the program
    if (sys::kind_of(static_cast<SOCKET>(fd), &self->kind) != 0 || !sys::is_internet(self->kind) ||
        !socket_bind(owner, fd) || !socket_set_source(&self->as_source)) {
        mm_free(self);
        return nullptr;
    }
    listening_hold(on, self, left_over_call_back);
    interest_take_over(&self->as_source);
    return self;
}

void acceptor_detach(acceptor *self)
{
    backend *owner = self->as_source.of != nullptr ? acceptor_owner(self) : nullptr;
    base_locked held(owner != nullptr ? owner->base : nullptr);
    if (--self->listeners > 0)
        return;
    if (owner != nullptr) {
        interest_fall_back(&self->as_source);
        socket_clear_source(&self->as_source);
    }
    if (self->listening != nullptr)
        listening_let_go(self->listening, self);
    first_data_free(self);
    while (!TAILQ_EMPTY(&self->pending)) {
        accept_operation *accepting = TAILQ_FIRST(&self->pending);
        remove_pending(self, accepting);
        completion_disown(&accepting->operation);
    }
    for (accept_operation *accepting = pop_done(self); accepting != nullptr; accepting = pop_done(self))
        accept_operation_free(accepting);
    self->listening = nullptr;  // may be gone before the loop's thread has left it
    self->never_blocks = false; // if the loop is about to take from it: there is nothing
    if (owner != nullptr)
        source_free_later(&self->as_source);
    else
        mm_free(self);
}

acceptor *acceptor_find(backend *owner, evutil_socket_t fd)
{
    source *found = owner != nullptr ? socket_own_source(owner, fd) : nullptr;
    return found != nullptr && found->ops == &acceptor_ops ? acceptor_from_source(found) : nullptr;
}

void acceptor_avoid_accept_ex(acceptor *self)
{
    acceptor_go_plain(self);
    source_ready(&self->as_source, 0); // the next submit leaves it to a poll
}

void acceptor_give_address(const struct sockaddr *peer, int peer_length, struct sockaddr *address, ev_socklen_t *length)
{
    if (address != nullptr && peer_length > 0 && peer_length <= *length)
        memcpy(address, peer, static_cast<size_t>(peer_length));
    *length = peer_length;
}

evutil_socket_t acceptor_take(acceptor *self, struct sockaddr *address, ev_socklen_t *length, int flags)
{
    int error = WSAEWOULDBLOCK;
    SOCKET socket = INVALID_SOCKET;
    {
        base_locked held(acceptor_owner(self)->base);
        int of_left = left_over_take(acceptor_descriptor(self), &socket, address, length, flags);
        if (sys::is_shortage(of_left))
            shortage_tell(self, of_left);
        if (socket == INVALID_SOCKET)
            socket = acceptor_take_done(self, address, length, flags);
        if (socket == INVALID_SOCKET && self->error == 0)
            socket = acceptor_take_waiting(self, address, length, flags);
        if (socket != INVALID_SOCKET && (flags & EVUTIL_SOCK_NONBLOCK) != 0)
            socket_note_accepted(acceptor_owner(self), static_cast<evutil_socket_t>(socket));
        if (socket == INVALID_SOCKET && self->error != 0) {
            error = self->error;
            self->error = 0;
        }
    }
    if (socket == INVALID_SOCKET)
        WSASetLastError(error);
    return static_cast<evutil_socket_t>(socket);
}

} // namespace iocp
