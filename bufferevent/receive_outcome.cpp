#include "bufferevent/receive_outcome.h"
#include "backend/socket_record.h"
#include "bufferevent/receive_buffer.h"

namespace iocp {

namespace {

receive_state receive_hold(stream *self, DWORD bytes)
{
    self->received->begin = 0;
    self->received->end = bytes;
    return receive_state::held;
}

// No bytes came by it: the buffer is for others.
receive_state receive_end(stream *self)
{
    receive_release_buffer(self);
    return receive_state::ended;
}

// By its packet, of what could start: as where it cannot.
receive_state receive_wait_for_more(stream *self)
{
    self->receive_again = true;
    return receive_state::none;
}

receive_state receive_fail(stream *self, int error)
{
    receive_release_buffer(self);
    self->failure = stream_error(error);
    return receive_state::failed;
}

// Of a file, where nothing is no end: an empty message, a serial port's time-out. What was called back may have some
// bytes; a part of a message is as good as all.
receive_state receive_file_outcome(stream *self, int error, DWORD bytes)
{
    if (sys::file_has_ended(error))
        return receive_end(self);
    if (sys::is_shortage(error))
        return receive_wait_for_more(self);
    if (error != 0 && error != ERROR_MORE_DATA && error != ERROR_OPERATION_ABORTED)
        return receive_fail(self, error);
    if (error == 0 && (self->received == nullptr || self->received->capacity <= cold_receive_size))
        receive_paid_a_call(self);
    if (self->received == nullptr)
        return error == 0 ? receive_state::readable : receive_state::none;
    return bytes != 0 ? receive_hold(self, bytes) : receive_state::none;
}

} // namespace

receive_state receive_outcome(stream *self, int error, DWORD bytes)
{
    if (self->is_file)
        return receive_file_outcome(self, error, bytes);
    if (error == WSA_OPERATION_ABORTED)
        return receive_state::none; // called back, or its thread has ended
    if (error == WSAENOTCONN && !socket_of(&self->as_source)->was_connected)
        return receive_state::none; // not yet
    if (sys::is_shortage(error))
        return receive_wait_for_more(self);
    if (error != 0)
        return receive_fail(self, error);
    if (self->received != nullptr)
        return bytes != 0 ? receive_hold(self, bytes) : receive_end(self);
    receive_paid_a_call(self);
    return receive_state::readable;
}

bool receive_was_in_vain(const stream *self, int error)
{
    bool counts = error == 0 ? stream_transport(self) != sys::transport::messages : !self->receiving.cancelled;
    return self->is_file && self->receive == receive_state::none && counts;
}

bool receive_may_start_later(const stream *self, int error)
{
    return sys::is_shortage(error) || (!self->is_file && error == WSA_OPERATION_ABORTED);
}

void receive_settle_refused(stream *self, int error)
{
    if (!self->is_file || self->receive != receive_state::none)
        return;
    self->receive = receive_state::failed;
    self->failure = stream_error(error);
}

} // namespace iocp
