#include "subject.h"

#include <event2/bufferevent_struct.h>

#include <stdio.h>

namespace parity {

namespace {

std::string lengths(const subject *self)
{
    char text[160];
    std::string log;
    if (self->bev == nullptr)
        return " freed";
    if (self->on != nullptr && !self->fuzzy_read) {
        snprintf(text, sizeof(text), " read=%d", static_cast<int>(self->on->read));
        log += text;
    }
    if (!self->fuzzy_read && !self->input_unknown) {
        snprintf(text, sizeof(text), " in=%d", static_cast<int>(evbuffer_get_length(bufferevent_get_input(self->bev))));
        log += text;
    }
    if (!self->fuzzy_write) {
        size_t received = self->cut_amid_send ? self->got.size() - subject_drained(self) : self->got.size();
        snprintf(text, sizeof(text), " out=%d received=%d",
                 static_cast<int>(evbuffer_get_length(bufferevent_get_output(self->bev))), static_cast<int>(received));
        log += text;
    }
    if (self->hide_enabled)
        return log;
    snprintf(text, sizeof(text), " enabled=%d", bufferevent_get_enabled(self->bev));
    return log + text;
}

void settle_fuzziness(subject *self)
{
    self->fuzzy_write = self->fuzzy_write || (self->on != nullptr && self->on->stalled);
    self->read_was_fuzzy = self->fuzzy_read;
    self->write_was_fuzzy = self->fuzzy_write;
    if (self->bev == nullptr || self->on == nullptr)
        return;
    // Under a rate limit it is a matter of time whether reading is suspended: such a one stays fuzzy.
    if (!self->rate_limited && self->on->read == self->on->sent &&
        event_pending(&self->bev->ev_read, EV_READ, nullptr) != 0)
        self->fuzzy_read = false;
    if (!self->on->refused && evbuffer_get_length(bufferevent_get_output(self->bev)) == 0 &&
        (bufferevent_get_enabled(self->bev) & EV_WRITE) != 0 && !self->on->stalled)
        self->fuzzy_write = false;
}

// What the program has left there, and what has come since.
void check_input(subject *self)
{
    if (self->bev == nullptr || self->input_frozen)
        return;
    std::string expected = self->input;
    subject_input_changed(self);
    if (self->input != expected)
        self->wrong += " the input has other bytes;";
}

// In the next step.
bool has_much_to_write(const subject *self)
{
    return self->fuzzy_write ||
           (self->bev != nullptr && evbuffer_get_length(bufferevent_get_output(self->bev)) > surely_sent_at_once);
}

} // namespace

std::string subject_log(subject *self)
{
    char text[32];
    std::string log;
    settle_fuzziness(self);
    check_input(self);
    if (!self->connect_events.empty())
        log += " connection:" + self->connect_events;
    if (!self->hide_reading) {
        if (self->read_called && !self->read_was_fuzzy && !self->input_unknown)
            log += " read";
        log += self->read_events;
    }
    if (self->deferred_events != 0 && !self->hide_reading && !self->hide_writing && !self->write_was_fuzzy) {
        snprintf(text, sizeof(text), " deferred 0x%x", static_cast<unsigned>(self->deferred_events));
        log += text;
    }
    self->deferred_events = 0;
    if (!self->hide_writing && !self->write_was_fuzzy) {
        bool exact = !self->written_much || self->write_calls == 0;
        snprintf(text, sizeof(text), exact ? " write*%d" : " write", self->write_calls);
        if (!self->rate_limited) // in which step a callback comes is a matter of time
            log += text;
        log += self->write_events;
    }
    log += lengths(self);
    if (!self->wrong.empty())
        log += " WRONG:" + self->wrong;
    self->read_called = self->hide_reading = self->hide_writing = false;
    self->written_much = has_much_to_write(self);
    self->write_calls = 0;
    self->connect_events.clear();
    self->read_events.clear();
    self->write_events.clear();
    return log;
}

} // namespace parity
