#include "bufferevent/sent_chains.h"
#include "bufferevent/receive_buffer.h"
#include "bufferevent/send_operation.h"

namespace iocp {

namespace {

bool sent_is_memory(struct evbuffer_chain *chain)
{
    // Its evbuffer has it still: the loop's thread is about to take what it has sent out of there, and this is another
    // one. The two must not change its flags at a time.
    if ((chain->flags & EVBUFFER_DANGLING) == 0)
        return false;
    if ((chain->flags & (EVBUFFER_MULTICAST | EVBUFFER_FILESEGMENT)) != 0)
        return false;
    if ((chain->flags & EVBUFFER_REFERENCE) == 0)
        return true;
    auto *reference = EVBUFFER_CHAIN_EXTRA(struct evbuffer_chain_reference, chain);
    return reference->cleanupfn == receive_free_handed_over; // one without any is copied, and not here
}

send_operation *sent_take_first(backend *owner)
{
    sent_chains *self = &owner->streams.sent;
    base_locked held(owner->base);
    completion *first = SIMPLEQ_FIRST(&self->waiting);
    if (first != nullptr)
        SIMPLEQ_REMOVE_HEAD(&self->waiting, first, next.waits);
    return reinterpret_cast<send_operation *>(first);
}

// No lock is held. A cleanup may do what any callback may: more may come to wait meanwhile.
void sent_free_all(backend *owner)
{
    while (send_operation *ended = sent_take_first(owner)) {
        send_operation_give_up(ended);
        base_locked held(owner->base);
        send_operation_put_back(owner, ended);
    }
}

void sent_free_all_called(struct event_callback *, void *argument)
{
    sent_free_all(static_cast<backend *>(argument));
}

} // namespace

bool sent_chains_are_memory(const send_operation *ended)
{
    for (int i = 0; i < ended->chain_count; ++i)
        if (!sent_is_memory(ended->chains[i]))
            return false;
    return true;
}

bool sent_chains_wait(backend *owner, send_operation *ended)
{
    sent_chains *self = &owner->streams.sent;
    if (ended->chain_count == 0)
        return false;
    SIMPLEQ_INSERT_TAIL(&self->waiting, &ended->operation, next.waits);
    if (self->free_all == nullptr) {
        // The first priority: before whoever is told by the same packet that more can be written, as on select.
        event_deferred_cb_init_(&self->frees, 0, sent_free_all_called, owner);
        self->frees.evcb_flags |= EVLIST_INTERNAL;
        self->free_all = sent_free_all;
    }
    if (!owner->draining)
        event_callback_activate_nolock_(owner->base, &self->frees);
    return true;
}

} // namespace iocp
