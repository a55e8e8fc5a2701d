// libevent's socket bufferevent on a port: where its functions meet the stream (see compat/bufferevent_slot.h).
#include "backend/socket_interest.h"
#include "backend/socket_record.h"
#include "bufferevent/bufferevent_stream.h"
#include "bufferevent/moving.h"

#include "compat/bufferevent_slot.h"
#include "compat/http_slot.h"
#include "compat/versions.h"

#include <limits.h>

using namespace iocp;

void iocp::socket_bufferevent_attach(struct bufferevent *bev, evutil_socket_t fd, bool to_connect)
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

namespace {

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
    stream_detach(bev, closes_descriptor(bev));
}

// Before the socket is closed: a receive in flight at that moment would make Windows reset the connection.
void socket_bufferevent_destruct(struct bufferevent *bev)
{
    socket_bufferevent_let_go(bev);
    bufferevent_ops_socket.destruct(bev);
}

// Its last reference goes: nothing is called back any more, and the descriptor may be used for something else at once.
void socket_bufferevent_unlink(struct bufferevent *bev)
{
    event_del(&bev->ev_read);
    event_del(&bev->ev_write);
    socket_bufferevent_let_go(bev);
}

// What the loop calls back, if this is its thread. With the base's lock held.
const struct event_callback *socket_bufferevent_runs(const struct bufferevent *bev)
{
    return EVBASE_IN_THREAD(bev->ev_base) ? bev->ev_base->current_event : nullptr;
}

// References that libevent has itself: amid a callback, and for one that is deferred.
int socket_bufferevent_own_references(struct bufferevent *bev)
{
    base_locked held(bev->ev_base);
    const struct event_callback *deferred = &BEV_UPCAST(bev)->deferred;
    const struct event_callback *runs = socket_bufferevent_runs(bev);
    bool is_amid = runs != nullptr &&
                   (runs == &bev->ev_read.ev_evcallback || runs == &bev->ev_write.ev_evcallback || runs == deferred);
    return is_amid + ((deferred->evcb_flags & (EVLIST_ACTIVE | EVLIST_ACTIVE_LATER)) != 0);
}

// bufferevent_free: the next thing that libevent does is to give a reference up. Whoever has another (its program, a filter
// above) has a bufferevent that goes on. The descriptor's program may use that at once.
void socket_bufferevent_freed(struct bufferevent *bev)
{
    bool is_programs = !closes_descriptor(bev);
    bool has_others = BEV_UPCAST(bev)->refcnt > 1 + socket_bufferevent_own_references(bev);
    if (has_file(bev) ? is_programs : is_closed_by_maker(bev) || (is_programs && !has_others))
        socket_bufferevent_unlink(bev);
    else if (is_programs && !has_file(bev))
        stream_detach(bev, false); // by readiness from now on
}

int socket_bufferevent_adjust_timeouts(struct bufferevent *bev)
{
    return bufferevent_ops_socket.adj_timeouts(bev);
}

int socket_bufferevent_flush(struct bufferevent *bev, short events, enum bufferevent_flush_mode mode)
{
    return bufferevent_ops_socket.flush(bev, events, mode);
}

bool socket_bufferevent_is_amid_write(const struct bufferevent *bev)
{
    base_locked held(bev->ev_base);
    return socket_bufferevent_runs(bev) == &bev->ev_write.ev_evcallback;
}

// False: it has another one, or none; what it had, it has no more.
bool socket_bufferevent_keeps_descriptor(struct bufferevent *bev, evutil_socket_t fd)
{
    stream_use before(bev);
    if (before.own == nullptr)
        return false;
    bool is_same = stream_descriptor(before.own) == fd && !socket_is_stale(stream_owner(before.own), fd);
    if (!is_same)
        stream_release(before.own, false);
    return is_same;
}

void socket_bufferevent_set_descriptor(struct bufferevent *bev, evutil_socket_t fd)
{
    bool to_connect = take_option(bev, option_connects_next);
    change_options(bev, option_left_amid_write, socket_bufferevent_is_amid_write(bev) ? option_left_amid_write : 0);
    if (!socket_bufferevent_keeps_descriptor(bev, fd))
        socket_bufferevent_attach(bev, fd, to_connect);
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
        socket_bufferevent_freed(bev);
    return bufferevent_ops_socket.ctrl(bev, op, data);
}

// While the loop's thread was about to call a bufferevent back for one descriptor, another thread may have given it
// another one. The first one's bytes are not for it any more.
bool socket_bufferevent_has_left(const struct bufferevent *bev, evutil_socket_t fd)
{
    return descriptor_of(bev) != fd && backend_for(bev) != nullptr;
}

// Or its program has, when it was told that this one is connected: libevent goes on to write to it then, as on select. (It
// calls nothing else back for a descriptor from before such a change, since one thread does both.)
bool socket_bufferevent_left_amid_write(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & option_left_amid_write) != 0;
}

// For the loop's thread alone, which may go on with it.
stream *socket_bufferevent_stream_in_loop(const struct bufferevent *bev)
{
    stream_use held(bev);
    return stream_in_use(held);
}

// Where the program says nothing of how much is written at once, a send may be longer than libevent's default, as long
// as nobody sees a difference: up to this many bytes. A write callback is called for each such piece below the low
// watermark; a write timeout waits for the end of one (see send_growth.h); and who has a callback on the output sees the
// pieces themselves.
size_t socket_bufferevent_may_send(const struct bufferevent *bev, const struct evbuffer *output)
{
    const struct bufferevent_private *self = BEV_UPCAST(bev);
    size_t length = output->total_len, low = bev->wm_write.low;
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

// What libevent would write at once. By a rate limit of the bufferevent's own that is all that is in the bucket, however
// much is written at once otherwise: without bounds, where only reading is limited. One send of it would be in flight as a
// whole, and who waits for its end (a write timeout, a socket that is closed) for as long as a slow peer takes for it.
size_t socket_bufferevent_asked(const struct bufferevent *bev, ev_ssize_t at_most)
{
    const struct bufferevent_private *self = BEV_UPCAST(bev);
    size_t asked = at_most >= 0 ? static_cast<size_t>(at_most) : max_send_size;
    size_t single = static_cast<size_t>(self->max_single_write);
    if (single < default_send_size)
        single = default_send_size; // a program that wants less does not get it, on select
    return self->rate_limiting != nullptr && single < asked ? single : asked;
}

// Starts a send, if events on its descriptor go by its stream.
bool socket_bufferevent_start_send(const struct bufferevent *bev, struct evbuffer *output, ev_ssize_t at_most,
                                   sys::start_result *started)
{
    stream_use held(bev);
    stream *own = stream_in_use(held);
    if (own == nullptr)
        return false;
    size_t may_send = socket_bufferevent_may_send(bev, output);
    bool grows = may_send > default_send_size;
    size_t length = grows ? may_send : socket_bufferevent_asked(bev, at_most);
    *started = stream_write_start(own, output, length, grows);
    return true;
}

int socket_bufferevent_would_block()
{
    WSASetLastError(WSAEWOULDBLOCK);
    return -1;
}

// While the loop's thread was about to call it back, another thread may have freed it. What was received went with its
// stream, so that the kernel has nothing, and a read would wait for more where the socket blocks.
bool socket_bufferevent_is_to_read(const struct bufferevent *bev)
{
    base_locked held(bev->ev_base);
    return (bev->ev_read.ev_flags & EVLIST_INSERTED) != 0;
}

// With the input's lock held, as evbuffer_read has it: the kernel may write into the input's own memory.
int socket_bufferevent_read(struct evbuffer *input, evutil_socket_t fd, int at_most)
{
    struct bufferevent *bev = input->parent;
    size_t most = IOCP_MOST_OF_A_READ(input);
    if (at_most < 0 || static_cast<size_t>(at_most) > most)
        at_most = most < INT_MAX ? static_cast<int>(most) : INT_MAX;
    stream *own = socket_bufferevent_stream_in_loop(bev);
    if (own != nullptr)
        return stream_read(own, input, at_most);
    // A refusal is told to readers too, where a socket is watched for readiness: but the write callback tells the
    // program, once.
    if (backend_for(bev) != nullptr && (BEV_UPCAST(bev)->connecting || !socket_bufferevent_is_to_read(bev)))
        return socket_bufferevent_would_block();
    int moved = moving_read(bev, input, at_most);
    return moved != 0 ? moved : evbuffer_read(input, fd, at_most);
}

} // namespace

extern "C" {

const struct bufferevent_ops iocp_bufferevent_ops = {
    "socket",
    evutil_offsetof(struct bufferevent_private, bev),
    socket_bufferevent_enable,
    socket_bufferevent_disable,
    socket_bufferevent_unlink,
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
    if (socket_bufferevent_has_left(input->parent, fd))
        return socket_bufferevent_would_block();
    EVBUFFER_LOCK(input); // it may have one that is not the bufferevent's
    int got = socket_bufferevent_read(input, fd, at_most);
    EVBUFFER_UNLOCK(input);
    return got;
}

int iocp_evbuffer_write_atmost(struct evbuffer *output, evutil_socket_t fd, ev_ssize_t at_most)
{
    bool has_left = socket_bufferevent_has_left(output->parent, fd);
    if (has_left && !socket_bufferevent_left_amid_write(output->parent))
        return socket_bufferevent_would_block();
    sys::start_result started;
    EVBUFFER_LOCK(output); // as above
    int written = !has_left && socket_bufferevent_start_send(output->parent, output, at_most, &started)
                      ? stream_write_settle(output, started)
                      : evbuffer_write_atmost(output, fd, at_most);
    EVBUFFER_UNLOCK(output);
    return written;
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
    if (is_socket)
        stream_detach(bev, false);
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
