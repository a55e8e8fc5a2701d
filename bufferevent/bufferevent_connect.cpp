// libevent's bufferevent_socket_connect on a port: by a stream's ConnectEx where there can be one (see
// compat/bufferevent_slot.h).
#include "backend/socket_record.h"
#include "bufferevent/bufferevent_stream.h"
#include "bufferevent/stream_queue.h"

#include "compat/bufferevent_slot.h"

using namespace iocp;

namespace {

const struct bufferevent_ops *tls_ops; // NULL: no TLS bufferevent was made yet

// What it waits for: options.
int bufferevent_connect_waits(const struct bufferevent *bev)
{
    base_locked held(bev->ev_base);
    return ((bev->ev_read.ev_flags & EVLIST_INSERTED) != 0 ? option_waited_to_read : 0) |
           ((bev->ev_write.ev_flags & EVLIST_INSERTED) != 0 ? option_waited_to_write : 0);
}

void bufferevent_connect_wait_as_before(struct bufferevent *bev, struct event *event, short what, int option)
{
    if (!take_option(bev, option))
        event_del(event);
    else if (event_pending(event, what, nullptr) == 0 && bev->be_ops->enable(bev, what) != 0)
        event_warnx("iocp: a bufferevent that has not connected could not wait as before");
}

// The descriptor is one that is not connected, as before. One that libevent has just made it closes now: the
// bufferevent must not close it once more.
int bufferevent_connect_not_started(struct bufferevent *bev)
{
    int error = EVUTIL_SOCKET_ERROR();
    if (take_option(bev, option_has_made_socket))
        bufferevent_setfd(bev, -1);
    else
        stream_detach(bev, false);
    // The descriptor was set for the connect, and libevent waits for all that is enabled then.
    bufferevent_connect_wait_as_before(bev, &bev->ev_read, EV_READ, option_waited_to_read);
    bufferevent_connect_wait_as_before(bev, &bev->ev_write, EV_WRITE, option_waited_to_write);
    WSASetLastError(error);
    return -1;
}

// libevent does not look whether it could add the events when it was given a descriptor.
bool bufferevent_connect_waits_in_vain(const struct bufferevent *bev)
{
    return (bev->enabled & EV_READ) != 0 && BEV_UPCAST(bev)->read_suspended == 0 &&
           event_pending(&bev->ev_read, EV_READ, nullptr) == 0;
}

// A TLS bufferevent whose SSL moves its bytes by a BIO that is not ours: a stream is for its connect alone.
void bufferevent_connect_let_ssl_read(const struct bufferevent *bev)
{
    if (bev->be_ops == &iocp_bufferevent_ops)
        return;
    stream_use held(bev);
    if (held.own != nullptr && !stream_is_seen(held.own))
        stream_step_aside(held.own);
}

// A descriptor that is connected, or about to be: as connect() says it, 0 if it may be connected. On select that call fails,
// and has changed nothing. -1: it is none that streams have, as one for datagrams.
int bufferevent_connect_refusal(const struct bufferevent *bev)
{
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    if (has_file(bev))
        return WSAEOPNOTSUPP;
    if (fd < 0)
        return 0;
    auto socket = static_cast<SOCKET>(fd);
    int type = SOCK_STREAM;
    if (sys::socket_type(socket, &type) == 0 && type != SOCK_STREAM)
        return -1;
    int refusal = 0;
    {
        stream_use before(bev);
        stream *own = before.own;
        if (own != nullptr && socket_is_stale(stream_owner(own), fd, sys::transport::socket))
            stream_release(own, false); // the program has closed the last one of that number by itself
        else if (own != nullptr)
            refusal = stream_connect_refusal(own);
    }
    return refusal == 0 && sys::is_connected(socket) ? WSAEISCONN : refusal;
}

// libevent asks whether it can connect, sets its descriptor, and has it connect, one after the other with its lock held.
void bufferevent_connect_note_refusal(struct bufferevent *bev, int refusal)
{
    int refused = option_refuses_connect | (refusal == WSAEALREADY ? option_is_connecting : 0);
    change_options(bev, option_refuses_connect | option_is_connecting, refusal != 0 ? refused : 0);
}

// As stream_connect_outcome, if its connect is a stream's.
int bufferevent_connect_outcome(const struct bufferevent *bev, evutil_socket_t fd)
{
    {
        stream_use held(bev);
        stream *own = stream_in_use(held);
        if (own != nullptr && own->connect != connect_state::none)
            return stream_connect_outcome(own);
    }
    return evutil_socket_finished_connecting_(fd);
}

// Its stream was for the connect: from now on it is watched for readiness.
void bufferevent_connect_leave_to_poll(const struct bufferevent *bev)
{
    int error = WSAGetLastError();
    {
        stream_use held(bev);
        stream *own = stream_in_use(held);
        if (own != nullptr)
            stream_release(own, false);
    }
    WSASetLastError(error);
}

// By ConnectEx: 0, or an error. WSAEOPNOTSUPP: none can, and it has no stream.
int bufferevent_connect_start(struct bufferevent *bev, evutil_socket_t fd, const struct sockaddr *address, int length)
{
    bool inet = address->sa_family == AF_INET || address->sa_family == AF_INET6;
    if (inet && stream_use(bev).own == nullptr)
        socket_bufferevent_attach(bev, fd, true);
    stream_use held(bev);
    if (held.own == nullptr)
        return WSAEOPNOTSUPP;
    int error = inet ? stream_connect(held.own, address, length) : WSAEOPNOTSUPP;
    if (error == WSAEOPNOTSUPP)
        stream_release(held.own, false);
    return error;
}

} // namespace

void iocp::bufferevent_connect_know_tls(const struct bufferevent_ops *ops)
{
    tls_ops = ops;
}

extern "C" {

int iocp_finished_connecting(struct bufferevent *bev, evutil_socket_t fd)
{
    int outcome = bufferevent_connect_outcome(bev, fd);
    if (BEV_UPCAST(bev)->connection_refused) // by connect() itself, of which the socket does not tell again
        WSASetLastError(WSAECONNREFUSED);
    if (outcome != 0 && !owns_descriptor(bev))
        bufferevent_connect_leave_to_poll(bev);
    return outcome;
}

int bufferevent_async_can_connect_(struct bufferevent *bev)
{
    backend *owner = backend_for(bev);
    // (One that connects to a pipe has a table of its own.)
    bool ours = has_file(bev) || bev->be_ops == &iocp_bufferevent_ops || (tls_ops != nullptr && bev->be_ops == tls_ops);
    bool by_connect = !has_file(bev) && event_get_win32_extension_fns_()->ConnectEx == nullptr;
    if (owner == nullptr || !ours || by_connect)
        return 0;
    int refusal = bufferevent_connect_refusal(bev);
    if (refusal < 0)
        return 0;
    bufferevent_connect_note_refusal(bev, refusal);
    if (refusal != 0)
        return 1; // and then it cannot
    // bufferevent_setfd comes next, and need not look what kind of socket it is.
    int made = event_get_fd(&bev->ev_read) < 0 ? option_has_made_socket : 0;
    change_options(bev, option_has_made_socket | option_waited_to_read | option_waited_to_write,
                   option_connects_next | made | bufferevent_connect_waits(bev));
    return 1;
}

// Called with the descriptor set already. What ConnectEx cannot do (other families, layered providers without it) is
// done by an ordinary connect, watched for readiness.
int bufferevent_async_connect_(struct bufferevent *bev, evutil_socket_t fd, const struct sockaddr *address, int length)
{
    struct bufferevent_private *bev_private = BEV_UPCAST(bev);
    if (connect_is_refused(bev)) {
        bool is_connecting = (bev_private->options & option_is_connecting) != 0;
        bufferevent_connect_note_refusal(bev, 0);
        WSASetLastError(has_file(bev) ? WSAEOPNOTSUPP : is_connecting ? WSAEALREADY : WSAEISCONN);
        return -1;
    }
    if (bufferevent_connect_waits_in_vain(bev) && bev->be_ops->enable(bev, EV_READ) != 0)
        return bufferevent_connect_not_started(bev);
    int error = bufferevent_connect_start(bev, fd, address, length);
    if (error == 0) {
        if (bev->be_ops->enable(bev, EV_WRITE) != 0)
            return bufferevent_connect_not_started(bev);
        bufferevent_connect_let_ssl_read(bev);
        return 0;
    }
    if (error != WSAEOPNOTSUPP) {
        WSASetLastError(error);
        return bufferevent_connect_not_started(bev);
    }
    int result = evutil_socket_connect_(&fd, address, length);
    if (result < 0 || bev->be_ops->enable(bev, EV_WRITE) != 0)
        return bufferevent_connect_not_started(bev);
    if (result == 2)
        bev_private->connection_refused = 1;
    if (result != 0)
        event_active(&bev->ev_write, EV_WRITE, 1);
    return 0;
}
}
