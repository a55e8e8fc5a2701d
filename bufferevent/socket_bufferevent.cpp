// libevent's socket bufferevent on a port: where its functions meet the stream (see compat/bufferevent_slot.h).
#include "backend/socket_interest.h"
#include "backend/socket_record.h"
#include "bufferevent/bufferevent_stream.h"
#include "bufferevent/moving.h"
#include "bufferevent/stream_queue.h"

#include "compat/bufferevent_slot.h"
#include "compat/http_slot.h"

using namespace iocp;

namespace {

const struct bufferevent_ops *tls_ops; // NULL: no TLS bufferevent was made yet

void socket_bufferevent_attach(struct bufferevent *bev, evutil_socket_t fd, bool to_connect)
{
    backend *owner = backend_for(bev);
    if (owner == nullptr || fd < 0)
        return;
    received_bytes *moved = moving_take(owner, fd);
    base_locked held(owner->base);
    bool had_another = stream_displace(owner, fd, bev);
    socket_record *known = socket_find(owner, fd);
    if (known != nullptr)
        socket_forget_file(known);
    // Bytes that came with a connection are held by a stream, whoever owns it, and every connect is one's. (With two that
    // may read, they are kept for the first that does.)
    stream *own = nullptr;
    if (owns_descriptor(bev) || to_connect || (socket_came_early(owner, fd) && !had_another))
        own = stream_attach(owner, fd, bev, to_connect);
    if (own != nullptr)
        own->as_source.may_give_way = bev->be_ops == &iocp_bufferevent_ops;
    if (own != nullptr && had_another) // whose events went by a stream
        interest_take_over(&own->as_source);
    moving_give(owner, fd, own, moved);
}

int socket_bufferevent_enable(struct bufferevent *bev, short events)
{
    return bufferevent_ops_socket.enable(bev, events);
}

int socket_bufferevent_disable(struct bufferevent *bev, short events)
{
    return bufferevent_ops_socket.disable(bev, events);
}

void socket_bufferevent_let_go(struct bufferevent *bev)
{
    stream *own = stream_for(bev);
    if (own != nullptr)
        stream_detach(own, closes_descriptor(bev));
}

// Before the socket is closed: a receive in flight at that moment would make Windows reset the connection.
void socket_bufferevent_destruct(struct bufferevent *bev)
{
    socket_bufferevent_let_go(bev);
    bufferevent_ops_socket.destruct(bev);
}

// bufferevent_free: nothing is called back any more, and the descriptor may be used for something else at once.
void socket_bufferevent_stop(struct bufferevent *bev)
{
    event_del(&bev->ev_read);
    event_del(&bev->ev_write);
    socket_bufferevent_let_go(bev);
}

int socket_bufferevent_adjust_timeouts(struct bufferevent *bev)
{
    return bufferevent_ops_socket.adj_timeouts(bev);
}

int socket_bufferevent_flush(struct bufferevent *bev, short events, enum bufferevent_flush_mode mode)
{
    return bufferevent_ops_socket.flush(bev, events, mode);
}

void socket_bufferevent_set_descriptor(struct bufferevent *bev, evutil_socket_t fd)
{
    bool to_connect = take_option(bev, option_connects_next);
    stream *own = stream_for(bev);
    if (own != nullptr && stream_descriptor(own) == fd && !socket_is_stale(stream_owner(own), fd))
        return; // the same socket as before
    if (own != nullptr)
        stream_detach(own, false);
    socket_bufferevent_attach(bev, fd, to_connect);
}

// The descriptor is one that is not connected, as before. One that libevent has just made it closes now: the
// bufferevent must not close it once more.
int socket_bufferevent_connect_not_started(struct bufferevent *bev)
{
    int error = EVUTIL_SOCKET_ERROR();
    stream *own = stream_for(bev);
    if (take_option(bev, option_has_made_socket))
        bufferevent_setfd(bev, -1);
    else if (own != nullptr)
        stream_detach(own, false);
    WSASetLastError(error);
    return -1;
}

// libevent does not look whether it could add the events when it was given a descriptor.
bool socket_bufferevent_waits_in_vain(const struct bufferevent *bev)
{
    return (bev->enabled & EV_READ) != 0 && BEV_UPCAST(bev)->read_suspended == 0 &&
           event_pending(&bev->ev_read, EV_READ, nullptr) == 0;
}

int socket_bufferevent_control(struct bufferevent *bev, enum bufferevent_ctrl_op op, union bufferevent_ctrl_data *data)
{
    if (op == BEV_CTRL_SET_FD && connect_is_refused(bev))
        return 0;
    if (op == BEV_CTRL_SET_FD && has_file(bev)) {
        if (!handle_attach(bev, data->fd))
            return -1;
    } else if (op == BEV_CTRL_SET_FD) {
        socket_bufferevent_set_descriptor(bev, data->fd);
    }
    if (op == BEV_CTRL_CANCEL_ALL)
        socket_bufferevent_stop(bev);
    return bufferevent_ops_socket.ctrl(bev, op, data);
}

// While the loop's thread was about to call a bufferevent back for one descriptor, another thread may have given it
// another one. The first one's bytes are not for it any more.
bool socket_bufferevent_has_left(const struct bufferevent *bev, evutil_socket_t fd)
{
    return event_get_fd(&bev->ev_read) != fd && backend_for(bev) != nullptr;
}

// Its stream, if events on its descriptor go by it. (They go by a poll, if the program had events of its own there
// first.)
stream *socket_bufferevent_stream_in_use(const struct bufferevent *bev)
{
    stream *own = stream_for(bev);
    return own != nullptr && own->as_source.in_use ? own : nullptr;
}

// A TLS bufferevent whose SSL moves its bytes by a BIO that is not ours: a stream is for its connect alone.
bool socket_bufferevent_reads_past_stream(const struct bufferevent *bev, const stream *own)
{
    return bev->be_ops != &iocp_bufferevent_ops && !stream_is_seen(own);
}

// Where the program says nothing of how much is written at once, a send may be longer than libevent's default, as long
// as nobody sees a difference: up to this many bytes. A write callback is called for each such piece below the low
// watermark; a write timeout waits for the end of one (see send_growth.h); and who has a callback on the output sees the
// pieces themselves.
size_t socket_bufferevent_may_send(const struct bufferevent *bev, const struct evbuffer *output)
{
    const struct bufferevent_private *self = BEV_UPCAST(bev);
    size_t length = evbuffer_get_length(output), low = bev->wm_write.low;
    if (length < default_send_size)
        return 0;
    const struct evbuffer_cb_entry *first = LIST_FIRST(&output->callbacks);
    bool is_watched = first != nullptr && LIST_NEXT(first, next) != nullptr; // one is libevent's
    if (self->rate_limiting != nullptr || self->max_single_write != default_send_size || is_watched)
        return 0;
    bool waits = evutil_timerisset(&bev->timeout_write);
    uint64_t seconds = static_cast<uint64_t>(bev->timeout_write.tv_sec);
    size_t pieces = (waits ? send_growth_within(seconds) : max_grown_size) / default_send_size;
    size_t above = length > low ? (length - low + default_send_size - 1) / default_send_size : 1;
    if (low > 0 && above < pieces)
        pieces = above;
    return pieces * default_send_size;
}

int socket_bufferevent_would_block()
{
    WSASetLastError(WSAEWOULDBLOCK);
    return -1;
}

// A descriptor that is connected, or about to be: as connect() says it, 0 if it may be connected. On select that call fails,
// and has changed nothing.
int socket_bufferevent_connect_refusal(const struct bufferevent *bev)
{
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    if (has_file(bev))
        return WSAEOPNOTSUPP;
    if (fd < 0)
        return 0;
    stream *own = stream_for(bev);
    int refusal = 0;
    if (own != nullptr) {
        base_locked held(stream_owner(own)->base);
        if (socket_is_stale(stream_owner(own), fd, sys::transport::socket))
            stream_release(own, false); // the program has closed the last one of that number by itself
        else
            refusal = stream_connect_refusal(own);
    }
    return refusal == 0 && stream_is_connected(static_cast<SOCKET>(fd)) ? WSAEISCONN : refusal;
}

// libevent asks whether it can connect, sets its descriptor, and has it connect, one after the other with its lock held.
void socket_bufferevent_note_refusal(struct bufferevent *bev, int refusal)
{
    int refused = option_refuses_connect | (refusal == WSAEALREADY ? option_is_connecting : 0);
    change_options(bev, option_refuses_connect | option_is_connecting, refusal != 0 ? refused : 0);
}

int socket_bufferevent_connect_outcome(stream *own)
{
    base_locked held(stream_owner(own)->base);
    return stream_connect_outcome(own);
}

} // namespace

void iocp::socket_bufferevent_know_tls(const struct bufferevent_ops *ops)
{
    tls_ops = ops;
}

extern "C" {

const struct bufferevent_ops iocp_bufferevent_ops = {
    "socket",
    evutil_offsetof(struct bufferevent_private, bev),
    socket_bufferevent_enable,
    socket_bufferevent_disable,
    nullptr,
    socket_bufferevent_destruct,
    socket_bufferevent_adjust_timeouts,
    socket_bufferevent_flush,
    socket_bufferevent_control,
};

struct bufferevent *bufferevent_socket_new(struct event_base *base, evutil_socket_t fd, int options)
{
    struct bufferevent *bev = iocp_stock_bufferevent_socket_new(base, fd, options);
    if (bev != nullptr && base != nullptr && LIST_EMPTY(&bev->output->callbacks)) {
        // libevent does not look whether it could add the one that begins to write.
        BEV_UPCAST(bev)->options = static_cast<enum bufferevent_options>(options & ~BEV_OPT_CLOSE_ON_FREE);
        bufferevent_free(bev);
        return nullptr;
    }
    if (bev != nullptr)
        moving_note_reader(bev);
    if (bev != nullptr && backend_for(bev) != nullptr) {
        bev->be_ops = &iocp_bufferevent_ops;
        socket_bufferevent_attach(bev, fd, false);
    }
    return bev;
}

int iocp_evbuffer_read(struct evbuffer *input, evutil_socket_t fd, int at_most)
{
    struct bufferevent *bev = input->parent;
    if (socket_bufferevent_has_left(bev, fd))
        return socket_bufferevent_would_block();
    stream *own = socket_bufferevent_stream_in_use(bev);
    if (own != nullptr)
        return stream_read(own, input, at_most);
    // A refusal is told to readers too, where a socket is watched for readiness: but the write callback tells the
    // program, once.
    if (BEV_UPCAST(bev)->connecting && backend_for(bev) != nullptr)
        return socket_bufferevent_would_block();
    int moved = moving_read(bev, input, at_most);
    return moved != 0 ? moved : evbuffer_read(input, fd, at_most);
}

int iocp_evbuffer_write_atmost(struct evbuffer *output, evutil_socket_t fd, ev_ssize_t at_most)
{
    if (socket_bufferevent_has_left(output->parent, fd))
        return socket_bufferevent_would_block();
    stream *own = socket_bufferevent_stream_in_use(output->parent);
    if (own == nullptr)
        return evbuffer_write_atmost(output, fd, at_most);
    size_t may_send = socket_bufferevent_may_send(output->parent, output);
    return may_send > default_send_size ? stream_write_growing(own, output, may_send)
                                        : stream_write(own, output, at_most);
}

int iocp_finished_connecting(struct bufferevent *bev, evutil_socket_t fd)
{
    stream *own = socket_bufferevent_stream_in_use(bev);
    bool is_ours = own != nullptr && own->connect != connect_state::none;
    int outcome = is_ours ? socket_bufferevent_connect_outcome(own) : evutil_socket_finished_connecting_(fd);
    if (BEV_UPCAST(bev)->connection_refused) // by connect() itself, of which the socket does not tell again
        WSASetLastError(WSAECONNREFUSED);
    if (own == nullptr || outcome == 0 || owns_descriptor(bev))
        return outcome;
    int error = WSAGetLastError();
    stream_detach(own, false); // from now on it is watched for readiness
    WSASetLastError(error);
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
    int refusal = socket_bufferevent_connect_refusal(bev);
    socket_bufferevent_note_refusal(bev, refusal);
    if (refusal != 0)
        return 1; // and then it cannot
    // bufferevent_setfd comes next, and need not look what kind of socket it is.
    int made = event_get_fd(&bev->ev_read) < 0 ? option_has_made_socket : 0;
    change_options(bev, option_has_made_socket, option_connects_next | made);
    return 1;
}

// Called with the descriptor set already. What ConnectEx cannot do (other families, layered providers without it) is
// done by an ordinary connect, watched for readiness.
int bufferevent_async_connect_(struct bufferevent *bev, evutil_socket_t fd, const struct sockaddr *address, int length)
{
    struct bufferevent_private *bev_private = BEV_UPCAST(bev);
    if (connect_is_refused(bev)) {
        bool is_connecting = (bev_private->options & option_is_connecting) != 0;
        socket_bufferevent_note_refusal(bev, 0);
        WSASetLastError(has_file(bev) ? WSAEOPNOTSUPP : is_connecting ? WSAEALREADY : WSAEISCONN);
        return -1;
    }
    bool inet = address->sa_family == AF_INET || address->sa_family == AF_INET6;
    int result = 0;
    if (socket_bufferevent_waits_in_vain(bev) && bev->be_ops->enable(bev, EV_READ) != 0)
        return socket_bufferevent_connect_not_started(bev);
    if (inet && stream_for(bev) == nullptr)
        socket_bufferevent_attach(bev, fd, true);
    stream *own = stream_for(bev);
    if (own != nullptr && inet && stream_connect(own, address, length) == 0) {
        if (bev->be_ops->enable(bev, EV_WRITE) != 0)
            return socket_bufferevent_connect_not_started(bev);
        if (socket_bufferevent_reads_past_stream(bev, own))
            stream_step_aside(own);
        return 0;
    }
    if (own != nullptr && inet && EVUTIL_SOCKET_ERROR() != WSAEOPNOTSUPP)
        result = -1;
    else {
        if (own != nullptr)
            stream_detach(own, false);
        result = evutil_socket_connect_(&fd, address, length);
    }
    if (result < 0 || bev->be_ops->enable(bev, EV_WRITE) != 0)
        return socket_bufferevent_connect_not_started(bev);
    if (result == 2)
        bev_private->connection_refused = 1;
    if (result != 0)
        event_active(&bev->ev_write, EV_WRITE, 1);
    return 0;
}

// Nothing asks, since no bufferevent has this type.
void bufferevent_async_set_connected_(struct bufferevent *)
{
}

const struct bufferevent_ops bufferevent_ops_async = {
    "none", 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
};

struct bufferevent *bufferevent_async_new_(struct event_base *base, evutil_socket_t fd, int options)
{
    return bufferevent_socket_new(base, fd, options);
}

// A bufferevent of libevent 1 is made first, and told its base then.
int bufferevent_base_set(struct event_base *base, struct bufferevent *bev)
{
    if (has_file(bev)) {
        WSASetLastError(WSAEOPNOTSUPP);
        return -1;
    }
    bool is_socket = bev->be_ops == &bufferevent_ops_socket || bev->be_ops == &iocp_bufferevent_ops;
    stream *own = is_socket && backend_for(bev) != nullptr ? stream_for(bev) : nullptr;
    if (own != nullptr)
        stream_detach(own, false);
    int result = iocp_stock_bufferevent_base_set(base, bev);
    if (result == 0 && is_socket && backend_for(bev) != nullptr) {
        bev->be_ops = &iocp_bufferevent_ops;
        socket_bufferevent_attach(bev, event_get_fd(&bev->ev_read), false);
    }
    return result;
}

struct event_iocp_port *iocp_settle_base(struct event_base *base)
{
    event_base_get_iocp_(base);
    return nullptr;
}
}
