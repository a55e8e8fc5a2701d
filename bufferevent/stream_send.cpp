#include "bufferevent/stream_send.h"
#include "bufferevent/send_operation.h"
#include "bufferevent/sent_chains.h"

namespace iocp {

namespace {

uint32_t stream_send_now_ms(stream *self)
{
    return static_cast<uint32_t>(backend_now_us(stream_owner(self)) / 1000);
}

bool stream_send_was_long(const send_operation *sending)
{
    return sending->limit != 0 && sending->length == sending->limit;
}

void stream_send_ended(completion *operation, int error, DWORD bytes)
{
    auto *sending = reinterpret_cast<send_operation *>(operation);
    stream *self = sending->owner;
    backend *owner = stream_owner(self);
    if (!owner->draining && send_operation_goes_on(sending, owner->port, stream_descriptor(self), &error, &bytes))
        return;
    if (stream_send_was_long(sending))
        self->send_doublings = send_growth_after(self->send_doublings, stream_send_now_ms(self) - sending->started_ms);
    error = send_operation_settle(sending, error, bytes);
    // They have left the output. (A peer that has reset the connection need not be told.)
    if (error != 0 && error != WSAECONNRESET)
        linger_fail(&sending->left);
    self->sending = nullptr;
    if (!sent_chains_wait(owner, sending))
        send_operation_put_back(owner, sending);
    if (error != 0)
        self->send_error = stream_error(error);
    if (self->queue != nullptr)
        source_queue(&self->as_source); // there may be more, whoever waits for it
    source_ready(&self->as_source, EV_WRITE);
}

const completion_ops stream_send_ops = {operation_kind::send, stream_send_ended, send_operation_left_ended};

// A send that may grow has been started.
void stream_send_count_grown(stream *self, send_operation *sending, bool pending)
{
    send_growth *growth = &stream_owner(self)->streams.growth;
    size_t grown = sending->length > default_send_size ? sending->length - default_send_size : 0;
    growth->in_turn += grown;
    stream_owner(self)->loop.sent_much |= grown > 0;
    if (pending) {
        growth->in_flight += grown;
        sending->grown = grown;
    }
    if (stream_send_was_long(sending) && pending)
        sending->started_ms = stream_send_now_ms(self);
    else if (stream_send_was_long(sending))
        self->send_doublings = send_growth_after(self->send_doublings, 0);
}

sys::start_result stream_send_start(stream *self, struct evbuffer *output, size_t at_most, bool grows)
{
    backend *owner = stream_owner(self);
    send_operation *sending = send_operation_new(self, &stream_send_ops);
    if (sending == nullptr)
        return {sys::started::failed, WSAENOBUFS, 0};
    self->as_source.sent_in_round = send_round_now(&owner->loop.round);
    if (!self->has_read)
        self->warm = true; // who sends expects an answer
    if (grows)
        sending->limit = at_most = send_growth_next(&owner->streams.growth, owner->loop.turn, self->send_doublings,
                                                    at_most, linger_limit_bytes(&owner->lingering));
    sys::start_result result = send_operation_start(sending, owner->port, stream_descriptor(self), output,
                                                    at_most < max_send_size ? at_most : max_send_size);
    bool pending = result.how == sys::started::pending;
    bool is_made_longer = grows || self->queue != nullptr; // by us: its program has not said how long
    if (result.how == sys::started::failed)
        self->send_doublings = 0; // for want of memory, as a rule: there may be enough for a short one
    if (grows && result.how != sys::started::failed)
        stream_send_count_grown(self, sending, pending);
    if (result.how != sys::started::failed)
        self->send_lasting = send_growth_lasting(self->send_lasting, is_made_longer ? sending->length : 0);
    if (pending)
        self->sending = sending;
    else
        send_operation_put_back(owner, sending);
    return result;
}

// 0 if a send may start now.
int stream_send_refused(const stream *self)
{
    if (self->connect == connect_state::pending)
        return WSAENOTCONN;
    return self->sending == nullptr ? self->send_error : WSAEWOULDBLOCK;
}

} // namespace

sys::start_result stream_write_start(stream *self, struct evbuffer *output, size_t at_most, bool grows)
{
    int refused = stream_send_refused(self);
    if (refused != 0)
        return {sys::started::failed, refused, 0};
    if (at_most == 0 || output->total_len == 0)
        return {sys::started::failed, 0, 0}; // as evbuffer_write_atmost, which leaves the last error alone
    sys::start_result started = stream_send_start(self, output, at_most, grows);
    if (started.how != sys::started::failed || !sys::is_shortage(started.error))
        return started;
    self->send_again = true; // its memory is short: the next turn of the loop tries again
    return {sys::started::failed, WSAEWOULDBLOCK, 0};
}

int stream_write_settle(struct evbuffer *output, const sys::start_result &started)
{
    if (started.how == sys::started::failed && started.error != 0)
        WSASetLastError(started.error);
    if (started.how == sys::started::failed)
        return -1;
    send_operation_take(output, started.bytes);
    return static_cast<int>(started.bytes);
}

int stream_send_locked(stream *self, struct evbuffer *own)
{
    return stream_write_settle(own, stream_write_start(self, own, evbuffer_get_length(own), false));
}

size_t stream_send_in_flight(const stream *self)
{
    return stream_send_ready(self) ? 0 : self->sending->length;
}

void stream_send_let_go(stream *self, struct evbuffer *rest)
{
    send_operation *sending = stream_sending(self);
    if (sending != nullptr) {
        self->sending = nullptr;
        send_operation_let_go(sending, socket_of(&self->as_source), rest, self->send_lasting);
    } else if (rest != nullptr) {
        if (evbuffer_get_length(rest) > 0) // for want of memory; the program thinks them sent
            socket_of(&self->as_source)->resets = true;
        evbuffer_free(rest);
    }
}

} // namespace iocp
