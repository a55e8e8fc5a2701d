#include "bufferevent/pipes/pipe_instance.h"

namespace iocp {

namespace {

// Whoever makes a bufferevent of the handle later can tell by its record that this port is the one that it is on.
int instance_bind(backend *on, pipe_instance *self)
{
    auto number = reinterpret_cast<evutil_socket_t>(self->handle);
    self->record = socket_obtain(on, number);
    if (self->record == nullptr)
        return WSAENOBUFS;
    socket_begin_life(self->record); // what had the number before is gone
    return socket_bind_file(on, number, sys::transport::pipe);
}

} // namespace

int pipe_instance_new(backend *on, const wchar_t *path, const sys::pipe_kind &kind, const completion_ops *ops,
                      pipe_instance **made)
{
    auto *self = static_cast<pipe_instance *>(mm_calloc(1, sizeof(pipe_instance)));
    if (self == nullptr)
        return WSAENOBUFS;
    completion_init(&self->operation, ops);
    int error = sys::pipe_create(path, kind, &self->handle);
    if (error != 0) {
        mm_free(self);
        return error;
    }
    error = instance_bind(on, self);
    if (error != 0) {
        sys::close_handle(self->handle);
        mm_free(self);
        return error;
    }
    *made = self;
    return 0;
}

sys::start_result pipe_instance_start(backend *on, pipe_instance *self)
{
    OVERLAPPED *overlapped = completion_begin_file(&self->operation, self->handle);
    return completion_settle_start(on->port, &self->operation,
                                   sys::pipe_accept(self->handle, overlapped, self->record->skips_packets));
}

void pipe_instance_free(pipe_instance *self)
{
    socket_begin_life(self->record); // and the next that has the number has not come yet
    sys::close_handle(self->handle);
    mm_free(self);
}

HANDLE pipe_instance_hand_on(pipe_instance *self)
{
    HANDLE handle = self->handle;
    mm_free(self);
    return handle;
}

} // namespace iocp
