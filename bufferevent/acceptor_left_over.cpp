#include "bufferevent/acceptor_left_over.h"
#include "backend/transport.h"
#include "bufferevent/accept_operation.h"
#include "bufferevent/acceptor_backlog.h"
#include "bufferevent/acceptor_first_data.h"

namespace iocp {

namespace {

// One with room for first data may have read some: it stays its acceptor's.
void left_over_leave(listening_socket *on, accept_operation *accepting)
{
    uint32_t seconds;
    bool is_whole = accepting->room == 0 && accepting->socket != INVALID_SOCKET &&
                    (accepting->by_accept || sys::connected_for(accepting->socket, &seconds));
    if (!is_whole)
        return;
    left_connection left = {};
    left.socket = accepting->socket;
    left.is_finished = accepting->by_accept;
    left.is_inherited = accepting->inherited;
    left.peer_length = accepting->by_accept ? accepting->peer_length : 0;
    memcpy(&left.peer, accepting->buffer, static_cast<size_t>(left.peer_length));
    if (listening_leave(on, left) != nullptr)
        accepting->socket = INVALID_SOCKET;
}

// 0, or why it is of no use.
int left_over_prepare(evutil_socket_t fd, const left_connection &taken, struct sockaddr *address, ev_socklen_t *length,
                      int flags)
{
    if (!taken.is_finished) {
        int error = accept_finish(static_cast<SOCKET>(fd), taken.socket, flags);
        return error == 0 ? sys::peer_address(taken.socket, address, length) : error;
    }
    acceptor_give_address(reinterpret_cast<const struct sockaddr *>(&taken.peer), taken.peer_length, address, length);
    return backlog_set_mode(taken.socket, taken.is_inherited, flags);
}

} // namespace

void left_over_call_back(void *holder)
{
    auto *self = static_cast<acceptor *>(holder);
    accept_operation *each;
    TAILQ_FOREACH (each, &self->done, listed)
        left_over_leave(self->listening, each);
    TAILQ_FOREACH (each, &self->pending, listed) {
        sys::cancel(reinterpret_cast<HANDLE>(acceptor_descriptor(self)), &each->operation.overlapped);
        left_over_leave(self->listening, each);
    }
}

int left_over_finish(evutil_socket_t fd, const left_connection &taken, struct sockaddr *address, ev_socklen_t *length,
                     int flags)
{
    int error = left_over_prepare(fd, taken, address, length, flags);
    if (error != 0)
        transport_close_for_good(taken.socket);
    return error;
}

int left_over_take(evutil_socket_t fd, SOCKET *taken, struct sockaddr *address, ev_socklen_t *length, int flags)
{
    for (left_connection left; listening_take(fd, &left);) {
        int error = left_over_finish(fd, left, address, length, flags);
        if (error == 0)
            *taken = left.socket;
        if (error == 0 || sys::is_shortage(error))
            return error;
    }
    return WSAEWOULDBLOCK;
}

} // namespace iocp
