#include "hooks.h"

namespace parity {

namespace {

// What happens in one direction may come before or after what happens in the other. So after a hook that reaches from
// one into the other, the other's notes are not compared in this step, nor its lengths until all has been moved again.
void hide_the_other(subject *self, moment when)
{
    if (when == moment::write || when == moment::failed)
        self->hide_reading = true;
    if (when == moment::read || when == moment::ended || when == moment::failed)
        self->hide_writing = true;
}

void stop_being_sure(subject *self, moment when)
{
    hide_the_other(self, when);
    bool all_read = self->on != nullptr && self->on->read == self->on->sent;
    self->fuzzy_read = self->fuzzy_read || !all_read || when == moment::read || self->hide_reading;
    self->fuzzy_write = true;
}

void move_away(subject *self, moment when)
{
    // Told of the connection, libevent goes on to write: to the descriptor that it had when it began.
    if (when == moment::connected && evbuffer_get_length(bufferevent_get_output(self->bev)) > 0)
        return;
    // Whether the end was read before a write would be chance.
    if (when == moment::write)
        return;
    // So is whether a write that is bound to fail was tried before the program heard of what it has read.
    if (self->on != nullptr && self->on->near_shut && evbuffer_get_length(bufferevent_get_output(self->bev)) > 0)
        return;
    // And of much that is to be written a part may be on its way to the peer, who is asked for nothing any more.
    if (self->written_much)
        return;
    stop_being_sure(self, when);
    subject_move(self, nullptr);
}

void act(subject *self, const hook &what)
{
    bool amid_data = what.when == moment::read || what.when == moment::write;
    switch (what.what) {
    case action::free:
        stop_being_sure(self, what.when);
        subject_free(self);
        break;
    case action::stop_reading:
    case action::stop_writing:
        stop_being_sure(self, what.when);
        bufferevent_disable(self->bev, what.what == action::stop_reading ? EV_READ : EV_WRITE);
        break;
    case action::start:
        hide_the_other(self, what.when); // an end or an error that had been met before is met again
        self->hide_writing = self->hide_writing || what.when == moment::failed;
        self->written_much = true;
        subject_enable(self, EV_READ | EV_WRITE);
        break;
    case action::write:
        self->written_much = self->written_much || (what.when != moment::write && what.when != moment::connected);
        // It fails: whether before or after the first write callback is chance.
        self->hide_writing =
            self->hide_writing || (self->on != nullptr && self->on->near_shut && what.when != moment::write);
        subject_write(self, what.bytes);
        break;
    case action::reply_and_exit:
        self->exited = true;
        subject_write(self, what.bytes);
        event_base_loopexit(self->base, nullptr);
        break;
    case action::no_callbacks:
        if (amid_data)
            break;
        hide_the_other(self, what.when);
        subject_set_callbacks(self, 0);
        break;
    case action::no_descriptor:
        move_away(self, what.when);
        break;
    default:
        if (!amid_data && what.when != moment::failed)
            evbuffer_drain(bufferevent_get_input(self->bev), static_cast<size_t>(what.bytes));
        break;
    }
}

} // namespace

void reach(subject *self, moment when)
{
    for (size_t i = 0; i < self->hooks.size() && self->bev != nullptr;) {
        hook next = self->hooks[i];
        bool due = next.when == when;
        // After a reset there may be one failure or two, and either may come before what else there is; and what holds
        // after a refusal differs (see_refusal).
        if (due && self->on != nullptr && (self->on->was_reset || self->on->refused))
            due = when == moment::failed && next.what == action::free;
        if (due && when == moment::read)
            due = self->on != nullptr && self->on->read >= static_cast<size_t>(next.bytes);
        if (!due) {
            ++i;
            continue;
        }
        self->hooks.erase(self->hooks.begin() + static_cast<ptrdiff_t>(i));
        act(self, next);
    }
}

} // namespace parity
