#include "bufferevent/acceptor_backlog.h"
#include "backend/transport.h"
#include "bufferevent/acceptor_first_data.h"
#include "bufferevent/acceptor_lists.h"
#include "bufferevent/acceptor_shortage.h"

namespace iocp {

namespace {

bool backlog_peer_has_gone(int error)
{
    return error == WSAECONNRESET || error == WSAECONNABORTED;
}

} // namespace

bool backlog_is_open(const acceptor *self)
{
    // What accept() makes is inherited by a process that another thread starts just then.
    return self->never_blocks && self->inherit && !self->plain && first_data_room(self) == 0;
}

bool backlog_is_due(const acceptor *self)
{
    return self->backlog_waits && !shortage_pauses_all(self) && self->taken_in_turn < max_taken_in_turn &&
           backlog_is_open(self);
}

bool backlog_comes_first(const acceptor *self)
{
    return self->found_in_backlog && self->pending_count == 0 && !shortage_pauses_all(self) && backlog_is_open(self);
}

void backlog_accept_ended(acceptor *self)
{
    if (self->pending_count == first_data_engaged(self))
        self->backlog_waits = true;
}

void backlog_accept_found(acceptor *self)
{
    self->backlog_waits = true;
}

namespace {

// 0 with a connection, or a Winsock code.
int backlog_take_next(acceptor *self, SOCKET *taken, struct sockaddr *peer, int *length)
{
    while (self->taken_in_turn < max_taken_in_turn) {
        *length = sizeof(struct sockaddr_storage);
        int error = sys::accept_now(static_cast<SOCKET>(acceptor_descriptor(self)), taken, peer, length);
        bool found = error == 0 || backlog_peer_has_gone(error);
        self->found_in_backlog = found || self->taken_in_turn > 0;
        if (!found) {
            self->backlog_waits = false; // an AcceptEx shows what is wrong with the listener, if anything is
            return error;
        }
        ++self->taken_in_turn; // gone peers too: nobody may hold up a turn by connecting and resetting
        ++self->done_in_turn;
        if (error == 0)
            return 0;
    }
    return WSAEWOULDBLOCK;
}

} // namespace

int backlog_look(acceptor *self, const completion_ops *ops)
{
    self->backlog_waits = true;
    accept_operation *found = accept_operation_new(self, ops, 0);
    if (found == nullptr)
        return 0; // backlog_take needs no memory
    found->by_accept = true;
    found->inherited = true;
    accepts_locked held(self);
    int error = WSAEWOULDBLOCK;
    if (!self->listening->shared)
        error = backlog_take_next(self, &found->socket, reinterpret_cast<struct sockaddr *>(found->buffer),
                                  &found->peer_length);
    if (error == 0)
        push_done(self, found);
    else
        accept_operation_free(found);
    return error;
}

int backlog_take(acceptor *self, int flags, SOCKET *taken, struct sockaddr_storage *peer, int *length)
{
    while (backlog_is_due(self)) {
        int error = backlog_take_next(self, taken, reinterpret_cast<struct sockaddr *>(peer), length);
        if (error != 0)
            return error;
        error = backlog_set_mode(*taken, true, flags);
        if (error == 0)
            return 0;
        transport_close_for_good(*taken);
        if (sys::is_shortage(error))
            return error;
    }
    return WSAEWOULDBLOCK;
}

void backlog_withdraw(acceptor *self)
{
    accepts_locked held(self);
    accept_operation *each;
    TAILQ_FOREACH (each, &self->done, listed)
        if (each->inherited && each->socket != INVALID_SOCKET) {
            sys::set_inherited(each->socket, false);
            each->inherited = false;
        }
}

int backlog_set_mode(SOCKET taken, bool inherited, int flags)
{
    // It does not block either: "it has the same properties as socket s" (Microsoft's documentation of accept).
    bool shall_block = (flags & EVUTIL_SOCK_NONBLOCK) == 0;
    int error = shall_block ? sys::set_blocking(taken, true) : 0;
    if (error == 0)
        accept_set_inherited(taken, inherited, flags);
    return error;
}

} // namespace iocp
