#include "bufferevent/send_operation.h"
#include "backend/transport.h"
#include "bufferevent/send_growth.h"
#include "bufferevent/sent_chains.h"
#include "bufferevent/stream.h"

namespace iocp {

namespace {

send_operation *send_from_completion(completion *operation)
{
    return reinterpret_cast<send_operation *>(operation);
}

void send_add_buffer(WSABUF *buffers, int *count, const char *bytes, size_t length)
{
    buffers[*count].buf = const_cast<char *>(bytes);
    buffers[*count].len = static_cast<ULONG>(length);
    ++*count;
}

// True if nobody else may touch the chain's memory until it is unpinned.
bool send_may_pin(const struct evbuffer_chain *chain)
{
    // What other evbuffers refer to (evbuffer_add_buffer_reference) their threads may be about to free, with another lock.
    if (chain->refcnt != 1)
        return false;
    if ((chain->flags & EVBUFFER_MULTICAST) != 0) {
        auto *of_another = EVBUFFER_CHAIN_EXTRA(struct evbuffer_multicast_parent, chain);
        chain = of_another->parent;
    }
    if ((chain->flags & EVBUFFER_REFERENCE) == 0)
        return true;
    // A program that lends its memory without a cleanup has it back as soon as the output is without it.
    auto *reference = EVBUFFER_CHAIN_EXTRA(struct evbuffer_chain_reference, chain);
    return reference->cleanupfn != nullptr;
}

// A view of a file: its pages come from where the file is when they are read, and may not come (a share that is gone, a bad
// sector). A plain copy would end the process then.
bool send_is_of_view(const struct evbuffer_chain *chain)
{
    if ((chain->flags & EVBUFFER_FILESEGMENT) == 0)
        return false;
    auto *file = EVBUFFER_CHAIN_EXTRA(struct evbuffer_chain_file_segment, chain);
    return file->segment->is_mapping != 0;
}

// 0, or what a send of that memory itself would fail with.
int send_copy_chain(const send_operation *self, const struct evbuffer_chain *chain, char *into, size_t length)
{
    const unsigned char *bytes = chain->buffer + chain->misalign;
    if (!send_is_of_view(chain)) {
        memcpy(into, bytes, length);
        return 0;
    }
    int error = sys::view_read(bytes, into, length);
    return error == ERROR_NOACCESS && self->transport == sys::transport::socket ? WSAEFAULT : error;
}

// Of a chain that is not to be pinned; and what follows it, so that several small ones are one send, too. 0, or an error,
// and then nothing was copied.
int send_copy(send_operation *self, const struct evbuffer_chain *first, size_t at_most, size_t *copied)
{
    size_t least = first->off < at_most ? first->off : at_most;
    size_t most = at_most < max_coalesced ? at_most : max_coalesced;
    size_t all = least;
    for (const struct evbuffer_chain *next = first->next; next != nullptr && all < most; next = next->next)
        all += next->off < most - all ? next->off : most - all;
    self->copied = static_cast<char *>(mm_malloc(all));
    int error = self->copied == nullptr ? WSAENOBUFS : 0;
    *copied = 0;
    for (const struct evbuffer_chain *chain = first; error == 0 && *copied < all; chain = chain->next) {
        size_t length = chain->off < all - *copied ? chain->off : all - *copied;
        if (length != 0)
            error = send_copy_chain(self, chain, self->copied + *copied, length);
        *copied += length;
    }
    if (error != 0) {
        free_if_any(self->copied);
        self->copied = nullptr;
        *copied = 0;
    }
    return error;
}

// Makes one buffer of several chains. False: the first one goes alone, since it is long, or it cannot be.
bool send_coalesce(send_operation *self, struct evbuffer *output, size_t at_most, WSABUF *buffers)
{
    size_t first = evbuffer_get_contiguous_space(output);
    size_t all = evbuffer_get_length(output);
    size_t length = all < at_most ? all : at_most;
    if (first >= length || first >= max_coalesced || send_copy(self, output->first, at_most, &self->length) != 0)
        return false;
    int count = 0;
    send_add_buffer(buffers, &count, self->copied, self->length);
    return true;
}

// Pins or copies the evbuffer's first bytes. 0, or why nothing can be sent of it.
int send_gather(send_operation *self, struct evbuffer *output, size_t at_most, WSABUF *buffers, int *count)
{
    int most = transport_max_buffers(self->transport, max_gathered);
    *count = 0;
    self->length = self->sent = 0;
    self->empty_ends = 0;
    if (most == 1 && send_coalesce(self, output, at_most, buffers)) {
        *count = 1;
        return 0;
    }
    for (struct evbuffer_chain *chain = output->first; chain != nullptr && at_most > 0 && *count < most;
         chain = chain->next) {
        if (chain->off == 0)
            continue;
        bool goes_whole = chain->off <= at_most && send_may_pin(chain);
        size_t length = chain->off;
        int error = goes_whole ? 0 : send_copy(self, chain, at_most, &length);
        if (error != 0)
            return *count > 0 ? 0 : error; // the whole ones will do
        if (goes_whole) {
            evbuffer_chain_pin_(chain, EVBUFFER_MEM_PINNED_W);
            self->chains[self->chain_count++] = chain;
        }
        const auto *bytes = reinterpret_cast<const char *>(chain->buffer + chain->misalign);
        send_add_buffer(buffers, count, goes_whole ? bytes : self->copied, length);
        at_most = goes_whole ? at_most - length : 0;
        self->length += length;
    }
    return *count > 0 ? 0 : WSAENOBUFS;
}

void send_add_unsent(WSABUF *buffers, int *count, const char *bytes, size_t length, size_t *sent)
{
    size_t skipped = length < *sent ? length : *sent;
    *sent -= skipped;
    if (skipped < length)
        send_add_buffer(buffers, count, bytes + skipped, length - skipped);
}

// Of what was gathered, what was not sent. (Chains that are pinned stay as they were, in their evbuffer or not.)
int send_gather_unsent(const send_operation *self, WSABUF *buffers)
{
    int count = 0;
    size_t sent = self->sent, copied = self->length;
    for (int i = 0; i < self->chain_count; ++i) {
        const struct evbuffer_chain *chain = self->chains[i];
        send_add_unsent(buffers, &count, reinterpret_cast<const char *>(chain->buffer + chain->misalign), chain->off,
                        &sent);
        copied -= chain->off;
    }
    if (copied > 0)
        send_add_unsent(buffers, &count, self->copied, copied, &sent);
    return count;
}

sys::start_result send_hand_over(send_operation *self, port *on, evutil_socket_t fd, WSABUF *buffers, int count)
{
    return transport_send(self->transport, on, &self->operation, fd, buffers, count, self->skips_packets);
}

// What was to be sent after it goes now. False: nothing is in flight.
bool send_rest(send_operation *self)
{
    socket_record *record = self->left.record;
    backend *owner = record->owner;
    size_t length = evbuffer_get_length(self->rest);
    EVUTIL_ASSERT(self->chain_count == 0); // what TLS hands over are copies
    if (length == 0)
        return false;
    self->operation.alone = false;
    sys::start_result result = send_operation_start(self, owner->port, record->fd, self->rest, length);
    if (result.how == sys::started::failed)
        return false;
    send_operation_take(self->rest, result.bytes);
    if (result.how == sys::started::pending)
        completion_abandon(&self->operation);
    return result.how == sys::started::pending || send_rest(self);
}

bool send_left_goes_on(send_operation *self, int *error, DWORD *bytes)
{
    if (!linger_goes_on(&self->left))
        return false;
    socket_record *record = self->left.record;
    self->operation.alone = false;
    bool goes_on = send_operation_goes_on(self, record->owner->port, record->fd, error, bytes);
    if (goes_on)
        completion_abandon(&self->operation);
    return goes_on;
}

} // namespace

void send_operation_left_ended(completion *operation, int error, DWORD bytes)
{
    send_operation *self = send_from_completion(operation);
    if (send_left_goes_on(self, &error, &bytes))
        return;
    bool sent = send_operation_settle(self, error, bytes) == 0;
    if (sent && self->rest != nullptr && linger_goes_on(&self->left) && send_rest(self))
        return;
    if (!sent || (self->rest != nullptr && evbuffer_get_length(self->rest) > 0))
        linger_fail(&self->left);
    backend *base = self->left.record->owner;
    linger_end(&self->left);
    if (!sent_chains_wait(base, self))
        send_operation_put_back(base, self);
}

send_operation *send_operation_new(stream *owner, const completion_ops *ops)
{
    idle_sends *idle = &stream_owner(owner)->streams.idle;
    auto *self = reinterpret_cast<send_operation *>(SIMPLEQ_FIRST(&idle->operations));
    if (self != nullptr) {
        SIMPLEQ_REMOVE_HEAD(&idle->operations, &self->operation, next.waits);
        --idle->count;
    } else {
        self = static_cast<send_operation *>(mm_calloc(1, sizeof(send_operation)));
        if (self == nullptr)
            return nullptr;
    }
    completion_init(&self->operation, ops);
    linger_note_life(&self->left, socket_of(&owner->as_source));
    self->owner = owner;
    self->skips_packets = stream_skips_packets(owner);
    self->transport = stream_transport(owner);
    return self;
}

// Chains that have left their evbuffer are freed by this.
void send_operation_give_up(send_operation *self)
{
    for (int i = 0; i < self->chain_count; ++i)
        evbuffer_chain_unpin_(self->chains[i], EVBUFFER_MEM_PINNED_W);
    self->chain_count = 0;
    free_if_any(self->copied);
    self->copied = nullptr;
}

void send_operation_put_back(backend *base, send_operation *self)
{
    EVUTIL_ASSERT(!self->operation.pending && self->chain_count == 0 && self->copied == nullptr);
    if (self->rest != nullptr)
        evbuffer_free(self->rest);
    self->rest = nullptr;
    self->left = {};
    base->streams.growth.in_flight -= self->grown;
    self->grown = self->limit = 0;
    idle_sends *idle = &base->streams.idle;
    if (idle->count == max_idle_sends) {
        mm_free(self);
        return;
    }
    SIMPLEQ_INSERT_HEAD(&idle->operations, &self->operation, next.waits); // the next send finds it in the cache
    ++idle->count;
}

sys::start_result send_operation_start(send_operation *self, port *on, evutil_socket_t fd, struct evbuffer *output,
                                       size_t at_most)
{
    WSABUF buffers[max_gathered];
    int count = 0, error = send_gather(self, output, at_most, buffers, &count);
    if (error != 0)
        return {sys::started::failed, error, 0};
    sys::start_result result = send_hand_over(self, on, fd, buffers, count);
    if (result.how == sys::started::pending)
        result.bytes = static_cast<DWORD>(self->length);
    else
        send_operation_give_up(self);
    return result;
}

void send_operation_take(struct evbuffer *output, size_t length)
{
    evbuffer_drain(output, length);
}

// An overlapped send takes all, says Microsoft of WSASend. Under Wine one ends early, with a part or with nothing, when
// its peer shuts down its side meanwhile, and the rest is sent as if nothing had been.
bool send_operation_goes_on(send_operation *self, port *on, evutil_socket_t fd, int *error, DWORD *bytes)
{
    while (*error == 0 && self->sent + *bytes < self->length && self->empty_ends < max_empty_ends) {
        self->sent += *bytes;
        self->empty_ends = *bytes == 0 ? self->empty_ends + 1 : 0;
        WSABUF buffers[max_gathered];
        int count = send_gather_unsent(self, buffers);
        sys::start_result result = send_hand_over(self, on, fd, buffers, count);
        if (result.how == sys::started::pending)
            return true;
        *error = result.error;
        *bytes = result.bytes;
    }
    return false;
}

int send_operation_settle(send_operation *self, int error, DWORD bytes)
{
    if (sent_chains_are_memory(self))
        send_operation_give_up(self);
    // What follows must not go after a gap.
    return error == 0 && self->sent + bytes != self->length ? WSAECONNABORTED : error;
}

void send_operation_let_go(send_operation *self, socket_record *record, struct evbuffer *rest, unsigned char lasting)
{
    EVUTIL_ASSERT(self->operation.pending);
    self->rest = rest;
    size_t rest_length = rest != nullptr ? evbuffer_get_length(rest) : 0;
    linger_begin(&self->left, record, &self->operation, self->length + rest_length);
    if (linger_goes_on(&self->left))
        linger_longer(record, lasting + rest_length / default_send_size);
    completion_abandon(&self->operation);
}

} // namespace iocp
