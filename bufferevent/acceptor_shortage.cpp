#include "bufferevent/acceptor_shortage.h"
#include "bufferevent/acceptor_backlog.h"
#include "bufferevent/acceptor_first_data.h"

namespace iocp {

namespace {

void shortage_pause(acceptor *self, bool of_starts_alone)
{
    self->pause_until_us = backend_now_us(acceptor_owner(self)) + shortage_pause_us;
    self->pause_is_of_starts = of_starts_alone;
}

} // namespace

void shortage_tell(acceptor *self, int error)
{
    if (shortage_pauses_all(self) && backend_now_us(acceptor_owner(self)) < self->pause_until_us)
        return;
    self->error = error;
    shortage_pause(self, false);
}

void shortage_of_start(acceptor *self, int error)
{
    shortage_pause(self, true);
    if (self->pending_count != first_data_engaged(self))
        return; // whoever comes is taken
    if (backlog_is_open(self))
        self->backlog_waits = true; // once a pause
    else
        shortage_tell(self, error);
}

bool shortage_pauses_starts(acceptor *self)
{
    if (self->pause_until_us != 0 && backend_now_us(acceptor_owner(self)) >= self->pause_until_us)
        self->pause_until_us = 0;
    return self->pause_until_us != 0;
}

bool shortage_pauses_all(const acceptor *self)
{
    return self->pause_until_us != 0 && !self->pause_is_of_starts;
}

} // namespace iocp
