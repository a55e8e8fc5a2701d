// How a run of the loop ends when its program has asked for that (event_base_loopexit).
//
// On select, one look at the sockets finds who can read and who can write, and so what a callback writes when it has
// read is sent in the same pass, even if that pass is the last. Here the two are told one after the other. So before
// such a loop ends, all who could write are told. (Not so event_base_loopbreak, after which nobody is told of
// anything.)
#include "backend/backend.h"

extern "C" void event_loopexit_cb(evutil_socket_t, short, void *base);

namespace iocp {

namespace {

void loop_tell_who_can_write(backend *self)
{
    source *next;
    TAILQ_FOREACH (next, &self->loop.changed, queued)
        if ((next->ops->ready(next) & next->wanted & EV_WRITE) != 0)
            evmap_io_active_(self->base, source_descriptor(next), EV_WRITE);
}

} // namespace

} // namespace iocp

// Runs among the callbacks of the last pass, and what it activates does too.
extern "C" void event_loopexit_cb(evutil_socket_t, short, void *argument)
{
    auto *base = static_cast<struct event_base *>(argument);
    iocp::backend *self = iocp::backend_of(base);
    if (self != nullptr) {
        iocp::base_locked held(base);
        iocp::loop_tell_who_can_write(self);
    }
    base->event_gotterm = 1;
}
