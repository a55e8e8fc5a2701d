#include "bufferevent/stream_send.h"
#include "backend/socket_registry.h"

namespace iocp {

// Chains gathered by one send.
constexpr int max_gathered = 16;

struct send_operation {
    completion operation; // first
    stream *owner;        // whom to tell; NULL when stranded with no stream waiting
    send_operation *next; // in the backend's list of stranded sends, or in that of abandoned ones
    send_operation *previous;
    backend *abandoned_by;       // in whose list of abandoned sends it is
    struct evbuffer *own_output; // goes with it
    struct evbuffer *output;     // whose chains these are
    SOCKET socket;
    struct evbuffer_chain *chains[max_gathered];
    int chain_count;
    size_t length; // of what they hold
    int error;
    DWORD sent;
    bool has_ended; // and its outcome has not been taken yet
    bool closes;    // the socket was closed meanwhile, as far as its program knows: its packet does it
};

namespace {

send_operation *from_completion(completion *operation)
{
    return reinterpret_cast<send_operation *>(operation);
}

void unpin(send_operation *sending)
{
    for (int i = 0; i < sending->chain_count; ++i)
        evbuffer_chain_unpin_(sending->chains[i], EVBUFFER_MEM_PINNED_W);
    sending->chain_count = 0;
}

void send_ended(completion *operation, int error, DWORD bytes)
{
    send_operation *sending = from_completion(operation);
    sending->error = error;
    sending->sent = bytes;
    sending->has_ended = true;
    stream *self = sending->owner;
    if (self == nullptr)
        return;
    if (self->queued != nullptr)
        source_queue(&self->face); // there may be more, whoever waits for it
    source_ready(&self->face, EV_WRITE);
}

void list_abandoned(backend *owner, send_operation *sending)
{
    sending->abandoned_by = owner;
    sending->previous = nullptr;
    sending->next = owner->abandoned_sends;
    if (sending->next != nullptr)
        sending->next->previous = sending;
    owner->abandoned_sends = sending;
}

void unlist_abandoned(send_operation *sending)
{
    if (sending->abandoned_by == nullptr)
        return;
    if (sending->previous != nullptr)
        sending->previous->next = sending->next;
    else
        sending->abandoned_by->abandoned_sends = sending->next;
    if (sending->next != nullptr)
        sending->next->previous = sending->previous;
}

// Nobody waits: the evbuffer has been freed, or is about to be. Its pinned chains are freed by unpinning.
void send_freed(completion *operation, int, DWORD)
{
    send_operation *sending = from_completion(operation);
    unpin(sending);
    unlist_abandoned(sending);
    if (sending->own_output != nullptr)
        evbuffer_free(sending->own_output);
    if (sending->closes) {
        socket_forget(static_cast<evutil_socket_t>(sending->socket));
        sys::close_socket(sending->socket);
    }
    mm_free(sending);
}

send_operation *operation_for(stream *self)
{
    if (self->sending != nullptr)
        return self->sending;
    auto *sending = static_cast<send_operation *>(mm_calloc(1, sizeof(send_operation)));
    if (sending == nullptr)
        return nullptr;
    completion_init(&sending->operation, send_ended, send_freed);
    sending->owner = self;
    self->sending = sending;
    return sending;
}

// Pins up to `at_most` bytes of the evbuffer's first chains. Returns how many buffers that made.
int gather(send_operation *sending, struct evbuffer *output, size_t at_most, WSABUF *buffers)
{
    int count = 0;
    sending->length = 0;
    for (struct evbuffer_chain *chain = output->first; chain != nullptr && at_most > 0 && count < max_gathered;
         chain = chain->next) {
        size_t length = chain->off < at_most ? chain->off : at_most;
        if (length == 0)
            continue;
        evbuffer_chain_pin_(chain, EVBUFFER_MEM_PINNED_W);
        sending->chains[count] = chain;
        buffers[count].buf = reinterpret_cast<char *>(chain->buffer + chain->misalign);
        buffers[count].len = static_cast<ULONG>(length);
        at_most -= length;
        sending->length += length;
        ++count;
    }
    sending->chain_count = count;
    sending->output = output;
    return count;
}

int would_block()
{
    WSASetLastError(WSAEWOULDBLOCK);
    return -1;
}

// The kernel is done with the chains: what it took leaves the evbuffer.
int settle(struct evbuffer *output, send_operation *sending, int error, DWORD bytes)
{
    unpin(sending);
    if (bytes > 0)
        evbuffer_drain(output, bytes);
    if (error == 0)
        return static_cast<int>(bytes);
    WSASetLastError(error);
    return -1;
}

// `locked`: the caller holds the base's lock.
int start(stream *self, struct evbuffer *output, size_t at_most, bool locked)
{
    backend *owner = self->face.owner;
    send_operation *sending = operation_for(self);
    if (sending == nullptr) {
        WSASetLastError(WSAENOBUFS);
        return -1;
    }
    WSABUF buffers[max_gathered];
    int count = gather(sending, output, at_most, buffers);
    auto socket = sending->socket = static_cast<SOCKET>(self->face.fd);
    if (!locked)
        EVBASE_ACQUIRE_LOCK(owner->base, th_base_lock);
    self->face.sent_in_round = pace_round(&owner->pace);
    OVERLAPPED *overlapped = completion_begin(owner->on, &sending->operation, reinterpret_cast<HANDLE>(socket));
    sys::start_result result =
        completion_settle_start(owner->on, &sending->operation,
                                sys::send(socket, buffers, static_cast<DWORD>(count), overlapped, self->skips_packets));
    if (!locked)
        EVBASE_RELEASE_LOCK(owner->base, th_base_lock);
    if (self->read_limit == 0)
        self->warm = true; // who sends expects an answer
    if (result.how == sys::started::pending)
        return would_block();
    if (result.how == sys::started::failed && result.error == WSAENOBUFS) {
        unpin(sending);
        self->send_again = true;
        return would_block();
    }
    return settle(output, sending, result.error, result.bytes);
}

// Takes the outcome of a stranded send of this evbuffer: how many bytes it sent, or -1 if it is still in flight.
int settle_stranded(stream *self, struct evbuffer *output)
{
    backend *owner = self->face.owner;
    int sent = 0;
    for (send_operation **link = &owner->stranded_sends; *link != nullptr;) {
        send_operation *sending = *link;
        if (sending->output != output) {
            link = &sending->next;
            continue;
        }
        if (!sending->has_ended) {
            sending->owner = self;
            self->blocked_by = sending;
            return -1;
        }
        *link = sending->next;
        sent += settle(output, sending, 0, sending->sent);
        mm_free(sending);
    }
    self->blocked_by = nullptr;
    return sent;
}

int write(stream *self, struct evbuffer *output, ev_ssize_t at_most, bool locked)
{
    int result;
    EVBUFFER_LOCK(output);
    send_operation *sending = self->sending;
    bool any_stranded = self->face.owner->stranded_sends != nullptr;
    int stranded = any_stranded ? settle_stranded(self, output) : 0;
    size_t length = evbuffer_get_length(output);
    if (stranded < 0 || !stream_send_ready(self)) {
        result = would_block();
    } else if (sending != nullptr && sending->has_ended) {
        sending->has_ended = false;
        result = settle(output, sending, sending->error, sending->sent);
    } else if (length == 0) {
        result = stranded; // all had been sent on the descriptor before this one
    } else {
        if (at_most >= 0 && static_cast<size_t>(at_most) < length)
            length = static_cast<size_t>(at_most);
        result = start(self, output, length < max_send_size ? length : max_send_size, locked);
    }
    EVBUFFER_UNLOCK(output);
    return result;
}

} // namespace

bool stream_send_ready(const stream *self)
{
    if (self->blocked_by != nullptr && !self->blocked_by->has_ended)
        return false;
    return self->sending == nullptr || !self->sending->operation.pending;
}

int stream_write(stream *self, struct evbuffer *output, ev_ssize_t at_most)
{
    return write(self, output, at_most, false);
}

int stream_send_locked(stream *self, struct evbuffer *own)
{
    return write(self, own, -1, true);
}

bool stream_send_has_ended(const stream *self)
{
    return self->sending != nullptr && self->sending->has_ended;
}

size_t stream_send_in_flight(const stream *self)
{
    return self->sending != nullptr && self->sending->operation.pending ? self->sending->length : 0;
}

send_operation *stream_send_abandon(stream *self)
{
    send_operation *sending = self->sending;
    if (sending == nullptr || !sending->operation.pending)
        return nullptr;
    self->sending = nullptr;
    list_abandoned(self->face.owner, sending);
    completion_abandon(&sending->operation);
    return sending;
}

send_operation *stream_send_orphan(stream *self, struct evbuffer *rest)
{
    EVUTIL_ASSERT(self->sending == nullptr || !self->sending->operation.pending);
    start(self, rest, evbuffer_get_length(rest), true);
    send_operation *orphan = stream_send_abandon(self);
    if (orphan != nullptr)
        orphan->own_output = rest;
    else
        evbuffer_free(rest);
    return orphan;
}

void send_operation_closes(send_operation *sending)
{
    sending->closes = true;
}

bool stream_send_takes_socket(evutil_socket_t fd)
{
    backend *owner = socket_owner(fd);
    if (owner == nullptr)
        return false;
    bool taken = false;
    EVBASE_ACQUIRE_LOCK(owner->base, th_base_lock);
    // The newest comes first, and ends last.
    for (send_operation *each = owner->abandoned_sends; each != nullptr && !taken; each = each->next) {
        taken = each->socket == static_cast<SOCKET>(fd) && !each->closes;
        each->closes = each->closes || taken;
    }
    EVBASE_RELEASE_LOCK(owner->base, th_base_lock);
    return taken;
}

void stream_send_drop(stream *self, bool output_lives)
{
    send_operation *sending = self->sending;
    self->sending = nullptr;
    if (self->blocked_by != nullptr)
        self->blocked_by->owner = nullptr;
    self->blocked_by = nullptr;
    if (sending == nullptr)
        return;
    if (output_lives && (sending->operation.pending || sending->has_ended)) {
        completion_cancel(&sending->operation);
        sending->owner = nullptr;
        sending->next = self->face.owner->stranded_sends;
        self->face.owner->stranded_sends = sending;
        return;
    }
    completion_disown(&sending->operation);
}

void stream_send_forget(backend *owner, const struct evbuffer *output)
{
    for (send_operation **link = &owner->stranded_sends; *link != nullptr;) {
        send_operation *sending = *link;
        if (sending->output != output) {
            link = &sending->next;
            continue;
        }
        *link = sending->next;
        completion_disown(&sending->operation);
    }
}

} // namespace iocp
