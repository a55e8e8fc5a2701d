// A bufferevent that connects to a pipe. Until it has a handle, its functions are copies of its own, but for the one that
// gives the connect up.
#include "bufferevent/bufferevent_stream.h"
#include "bufferevent/pipes/pipe_name.h"

#include "compat/bufferevent_slot.h"
#include "event2/iocp_pipe.h"

using namespace iocp;

namespace {

constexpr int64_t first_pause_us = 1000;
constexpr int64_t max_pause_us = 32 * 1000;

// Ownership: its event has it, and it holds a reference to the bufferevent.
// Threads: with the bufferevent's lock held.
struct pipe_connect {
    struct bufferevent_ops ops; // first: the bufferevent's, see connect_of
    struct bufferevent *bev;
    struct event tries;
    int64_t until_us;
    int64_t pause_us;
    bool given_up;
    pipe_path path;
};

pipe_connect *connect_of(struct bufferevent *bev)
{
    return const_cast<pipe_connect *>(reinterpret_cast<const pipe_connect *>(bev->be_ops));
}

int64_t connect_now_us()
{
    return sys::now_ns() / 1000;
}

void connect_free_memory(pipe_connect *self)
{
    event_debug_unassign(&self->tries);
    mm_free(self);
}

// The event runs no more, and not in another thread either.
void connect_finalized(struct event *, void *argument)
{
    auto *self = static_cast<pipe_connect *>(argument);
    struct bufferevent *bev = self->bev;
    connect_free_memory(self);
    bufferevent_decref_(bev);
}

void connect_give_up(pipe_connect *self)
{
    self->given_up = true;
    event_finalize(0, &self->tries, connect_finalized);
}

// Its own functions ask whether it is a socket bufferevent, by the table.
int connect_control(struct bufferevent *bev, enum bufferevent_ctrl_op op, union bufferevent_ctrl_data *data)
{
    pipe_connect *self = connect_of(bev);
    if (op == BEV_CTRL_SET_FD && connect_is_refused(bev))
        return 0; // a socket's, by libevent, which is about to be told that it cannot connect: this one goes on
    bev->be_ops = &iocp_bufferevent_ops;
    int result = bev->be_ops->ctrl(bev, op, data);
    if (op == BEV_CTRL_CANCEL_ALL || (op == BEV_CTRL_SET_FD && result == 0))
        connect_give_up(self);
    else
        bev->be_ops = &self->ops;
    return result;
}

// 0, or why it cannot have it; the handle is closed then.
int connect_give_handle(struct bufferevent *bev, HANDLE handle)
{
    // To set a descriptor enables once more what is enabled, and tells of a write that nobody has asked for.
    short enabled = bev->enabled;
    if (evbuffer_get_length(bev->output) == 0)
        bev->enabled = static_cast<short>(enabled & ~EV_WRITE);
    bool is_set = bufferevent_setfd(bev, reinterpret_cast<evutil_socket_t>(handle)) == 0;
    bev->enabled = enabled;
    if (is_set)
        return 0;
    int error = EVUTIL_SOCKET_ERROR();
    sys::close_handle(handle);
    return error;
}

// The lock and the reference are given back.
void connect_tell(pipe_connect *self, int error, HANDLE handle)
{
    struct bufferevent *bev = self->bev;
    bev->be_ops = &iocp_bufferevent_ops;
    connect_free_memory(self);
    if (error == 0)
        error = connect_give_handle(bev, handle);
    WSASetLastError(error);
    bufferevent_run_eventcb_(bev, error == 0 ? BEV_EVENT_CONNECTED : BEV_EVENT_ERROR, 0);
    bufferevent_decref_and_unlock_(bev);
}

// 0, or why not.
int connect_tries_again(pipe_connect *self)
{
    int64_t left_us = self->until_us - connect_now_us();
    if (left_us <= 0)
        return WSAETIMEDOUT;
    int64_t pause_us = self->pause_us < left_us ? self->pause_us : left_us;
    struct timeval pause = {0, static_cast<long>(pause_us)};
    if (self->pause_us < max_pause_us)
        self->pause_us *= 2;
    return event_add(&self->tries, &pause) == 0 ? 0 : WSAENOBUFS;
}

// A pipe may go in one direction alone. One that goes in both, of which its server grants this account one, is not opened:
// by Windows' default everyone may read, and a client that is to write as well would hear of it only by its first write.
int connect_open(pipe_connect *self, HANDLE *handle)
{
    int error = sys::pipe_open(self->path.text, {true, true, false}, handle);
    if (error != ERROR_ACCESS_DENIED)
        return error;
    error = sys::pipe_open(self->path.text, {true, false, false}, handle);
    if (error == ERROR_ACCESS_DENIED)
        error = sys::pipe_open(self->path.text, {false, true, false}, handle);
    if (error != 0 || !sys::pipe_is_duplex(*handle))
        return error;
    sys::close_handle(*handle);
    return ERROR_ACCESS_DENIED;
}

void connect_tries(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<pipe_connect *>(argument);
    struct bufferevent *bev = self->bev;
    BEV_LOCK(bev);
    if (self->given_up) { // while we waited for the lock
        BEV_UNLOCK(bev);
        return;
    }
    HANDLE handle = nullptr;
    int error = connect_open(self, &handle);
    bool is_busy = error == ERROR_PIPE_BUSY;
    if (is_busy)
        error = connect_tries_again(self);
    if (is_busy && error == 0)
        BEV_UNLOCK(bev);
    else
        connect_tell(self, error, handle);
}

// -1: it is no time.
int64_t connect_patience_us(const struct timeval *patience)
{
    if (patience == nullptr)
        return BUFFEREVENT_IOCP_PIPE_DEFAULT_PATIENCE_MS * int64_t{1000};
    if (patience->tv_sec < 0 || patience->tv_usec < 0 || patience->tv_usec >= 1000000)
        return -1;
    return int64_t{patience->tv_sec} * 1000000 + patience->tv_usec;
}

// 0, or why it cannot connect.
int connect_refusal(struct bufferevent *bev)
{
    if (!has_file(bev))
        return WSAEOPNOTSUPP;
    if (bev->be_ops->ctrl == connect_control)
        return WSAEALREADY;
    return bufferevent_getfd(bev) == -1 ? 0 : WSAEISCONN;
}

int connect_begin(struct bufferevent *bev, const pipe_path &path, int64_t patience_us)
{
    auto *self = static_cast<pipe_connect *>(mm_calloc(1, sizeof(pipe_connect)));
    if (self == nullptr)
        return WSAENOBUFS;
    self->ops = *bev->be_ops;
    self->ops.ctrl = connect_control;
    self->bev = bev;
    self->until_us = connect_now_us() + patience_us;
    self->pause_us = first_pause_us;
    self->path = path;
    bufferevent_incref_(bev);
    bev->be_ops = &self->ops;
    event_assign(&self->tries, bev->ev_base, -1, 0, connect_tries, self);
    event_active(&self->tries, EV_TIMEOUT, 1);
    return 0;
}

} // namespace

extern "C" int bufferevent_iocp_pipe_connect(struct bufferevent *bev, const char *name, const struct timeval *patience)
{
    int64_t patience_us = connect_patience_us(patience);
    pipe_path path;
    int error = patience_us >= 0 ? pipe_path_from(name, &path) : WSAEINVAL;
    if (error == 0) {
        BEV_LOCK(bev);
        error = connect_refusal(bev);
        if (error == 0)
            error = connect_begin(bev, path, patience_us);
        BEV_UNLOCK(bev);
    }
    if (error != 0)
        WSASetLastError(error);
    return error == 0 ? 0 : -1;
}
