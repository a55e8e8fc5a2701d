#include "bufferevent/stream_connect.h"
#include "backend/socket_lingering.h"

namespace iocp {

struct connect_operation {
    completion operation; // first
    stream *owner;        // not looked at once disowned
    socket_record *left;  // what it was let go on, and
    socket_life left_life;
};

namespace {

// A socket connected by ConnectEx is not yet a full one: getpeername and shutdown need the last step.
void connect_settled(stream *self, int error)
{
    if (error == 0)
        error = sys::finish_connect(static_cast<SOCKET>(stream_descriptor(self)));
    if (error == 0)
        socket_of(&self->as_source)->was_connected = true;
    self->connect = error == 0 ? connect_state::succeeded : connect_state::failed;
    self->failure = stream_error(error);
}

void connect_freed(completion *operation, int, DWORD)
{
    auto *connecting = reinterpret_cast<connect_operation *>(operation);
    linger_end_cancelled(connecting->left, connecting->left_life);
    mm_free(operation);
}

// Whoever reads and writes from here on is told by a poll; of a failure now, since a poll may not know of it.
void connect_leave_to_poll(stream *self)
{
    backend *owner = stream_owner(self);
    short wanted = self->as_source.wanted;
    bool failed = self->connect == connect_state::failed;
    evutil_socket_t fd = stream_descriptor(self);
    stream_release(self, false);
    if (failed && wanted != 0 && !owner->draining)
        evmap_io_active_(owner->base, fd, wanted);
}

void connect_ended(completion *operation, int error, DWORD)
{
    stream *self = reinterpret_cast<connect_operation *>(operation)->owner;
    self->connecting = nullptr;
    mm_free(operation);
    connect_settled(self, error);
    if (self->steps_aside)
        connect_leave_to_poll(self);
    else
        source_ready(&self->as_source, EV_WRITE);
}

const completion_ops connect_ops = {operation_kind::connect, connect_ended, connect_freed};

int connect_start(stream *self, const struct sockaddr *address, int length)
{
    auto socket = static_cast<SOCKET>(stream_descriptor(self));
    int error = sys::bind_any(socket, address->sa_family);
    if (error != 0)
        return error;
    auto *connecting = static_cast<connect_operation *>(mm_calloc(1, sizeof(connect_operation)));
    if (connecting == nullptr)
        return WSAENOBUFS;
    completion_init(&connecting->operation, &connect_ops);
    connecting->owner = self;
    port *on = stream_owner(self)->port;
    OVERLAPPED *overlapped = completion_begin(&connecting->operation, stream_descriptor(self));
    sys::start_result result = completion_settle_start(
        on, &connecting->operation, sys::connect(socket, address, length, overlapped, stream_skips_packets(self)));
    if (result.how == sys::started::pending) {
        self->connecting = connecting;
        self->connect = connect_state::pending;
        return 0;
    }
    mm_free(connecting);
    if (result.how == sys::started::failed && !EVUTIL_ERR_CONNECT_REFUSED(result.error))
        return result.error;
    connect_settled(self, result.error); // a peer's answer is told of in the loop, however early it is
    return 0;
}

} // namespace

int stream_connect_refusal(const stream *self)
{
    if (self->connect == connect_state::pending)
        return WSAEALREADY;
    bool is_in_use = self->connect == connect_state::succeeded || stream_sending(self) != nullptr ||
                     self->receiving.pending || self->receive == receive_state::held;
    return is_in_use ? WSAEISCONN : 0;
}

int stream_connect(stream *self, const struct sockaddr *address, int length)
{
    int error = stream_connect_refusal(self);
    if (error == 0)
        error = connect_start(self, address, length);
    if (error == 0)
        self->receive = receive_state::none; // of an earlier connection, if any
    return error;
}

int stream_connect_outcome(stream *self)
{
    connect_state outcome = self->connect;
    if (outcome == connect_state::pending)
        return 0;
    self->connect = connect_state::none;
    if (outcome != connect_state::failed)
        return 1;
    WSASetLastError(self->failure);
    return -1;
}

void stream_step_aside(stream *self)
{
    if (self->connect == connect_state::pending)
        self->steps_aside = true;
    else
        connect_leave_to_poll(self);
}

void stream_connect_let_go(stream *self)
{
    if (self->connect == connect_state::pending) {
        connect_operation *connecting = self->connecting;
        self->connecting = nullptr;
        connecting->left = socket_of(&self->as_source);
        connecting->left_life = linger_begin_cancelled(connecting->left);
        completion_disown(&connecting->operation);
    }
    self->connect = connect_state::none;
}

} // namespace iocp
