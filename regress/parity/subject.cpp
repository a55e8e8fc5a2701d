#include "subject.h"
#include "hooks.h"

#include <event2/iocp.h>

extern "C" {
#include <event2/event-config.h>
#include <evconfig-private.h>
#include <event2/bufferevent_struct.h>
#include <bufferevent-internal.h>
}

#include <stdio.h>

namespace parity {

namespace {

constexpr int held_by_rate = BEV_SUSPEND_BW | BEV_SUSPEND_BW_GROUP;

subject *from(void *argument)
{
    return static_cast<subject *>(argument);
}

void check_thread(subject *self)
{
    if (GetCurrentThreadId() != self->loop_thread)
        self->wrong += " not the loop's thread;";
}

void on_read(struct bufferevent *bev, void *argument)
{
    subject *self = from(argument);
    check_thread(self);
    if (self->bev == nullptr) {
        self->wrong += " read callback after free;";
        return;
    }
    self->read_called = true;
    if ((bufferevent_get_enabled(bev) & EV_READ) == 0 && (self->options & BEV_OPT_DEFER_CALLBACKS) == 0)
        self->wrong += " read callback while disabled;";
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length = evbuffer_get_length(input);
    if (length < static_cast<size_t>(self->low))
        self->wrong += " read callback below the low watermark;";
    if (self->high != 0 && length > static_cast<size_t>(self->high) && self->frame != 0)
        self->wrong += " more than the high watermark;";
    if (self->frame > 0)
        evbuffer_drain(input, length - length % static_cast<size_t>(self->frame));
    reach(self, moment::read);
}

void on_write(struct bufferevent *, void *argument)
{
    subject *self = from(argument);
    check_thread(self);
    if (self->bev == nullptr) {
        self->wrong += " write callback after free;";
        return;
    }
    ++self->write_calls;
    reach(self, moment::write);
}

void note_event(subject *self, short what, int error)
{
    // After a reset it is chance who meets it first, a read or a write, and under Wine even whether as an error or as
    // an end: its server may have taken the error from the socket. (The codes on the port are tested in
    // test_guarantees.)
    if (self->on != nullptr && self->on->was_reset && (what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) != 0) {
        self->connect_events = " reset";
        return;
    }
    // Deferred events of both directions may or may not come as one.
    if ((self->options & BEV_OPT_DEFER_CALLBACKS) != 0 && (what & (BEV_EVENT_READING | BEV_EVENT_WRITING)) != 0) {
        self->deferred_events |= what;
        return;
    }
    char text[64];
    std::string *notes = &self->connect_events;
    if ((what & BEV_EVENT_READING) != 0)
        notes = &self->read_events;
    else if ((what & BEV_EVENT_WRITING) != 0)
        notes = &self->write_events;
    if ((what & BEV_EVENT_ERROR) == 0 || (self->on != nullptr && self->on->refused && error == WSAECONNREFUSED))
        error = 0; // and see see_refusal
    else if ((what & BEV_EVENT_WRITING) != 0 && error != WSAENOTCONN)
        error = 1; // which of the codes for a dead connection depends on who met the reset first
    snprintf(text, sizeof(text), " 0x%x(%d)", static_cast<unsigned>(what), error);
    *notes += text;
}

void on_event(struct bufferevent *, short what, void *argument)
{
    int error = EVUTIL_SOCKET_ERROR();
    subject *self = from(argument);
    check_thread(self);
    if (self->bev == nullptr) {
        self->wrong += " event callback after free;";
        return;
    }
    note_event(self, what, error);
    self->told = self->told || (what & BEV_EVENT_ERROR) != 0;
    if ((what & BEV_EVENT_CONNECTED) != 0)
        reach(self, moment::connected);
    else if ((what & BEV_EVENT_EOF) != 0 && !(self->on != nullptr && self->on->was_reset))
        reach(self, moment::ended);
    else if ((what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) != 0)
        reach(self, moment::failed);
    else {
        // Before a hook makes either direction busy anew: it must not time out once more.
        static const struct timeval never = {never_seconds, 0};
        bufferevent_set_timeouts(self->bev, &never, &never);
        reach(self, moment::timed_out);
    }
    self->timed_out = self->timed_out || (what & BEV_EVENT_TIMEOUT) != 0;
}

// Every byte that reaches the input is the next that the peer sent.
void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *argument)
{
    subject *self = from(argument);
    if (self->operates_on_input)
        return;
    self->input.erase(0, info->n_deleted);
    if (info->n_added == 0)
        return;
    if (self->on == nullptr) {
        self->wrong += " bytes without a connection;";
        return;
    }
    std::string added(info->n_added, '\0');
    struct evbuffer_ptr position;
    evbuffer_ptr_set(input, &position, info->orig_size, EVBUFFER_PTR_SET);
    if (self->input_frozen)
        evbuffer_unfreeze(input, 1); // frozen, it cannot even be looked at
    evbuffer_copyout_from(input, &position, &added[0], added.size());
    if (self->input_frozen)
        evbuffer_freeze(input, 1);
    for (size_t i = 0; i < added.size(); ++i) {
        if (added[i] != stream_byte(self->on->id, self->on->read + i)) {
            self->wrong += " wrong bytes;";
            break;
        }
    }
    self->input += added;
    self->on->read += added.size();
}

bool waits_for_reading(const subject *self)
{
    struct bufferevent *bev = self->bev;
    const connection *on = self->on;
    if (on == nullptr || on->refused || (bufferevent_get_enabled(bev) & EV_READ) == 0)
        return false;
    bool something = on->read < on->sent || on->finished || on->left || on->was_reset;
    if (!something)
        return false;
    int suspended = BEV_UPCAST(bev)->read_suspended;
    if (suspended != 0)
        return (suspended & ~held_by_rate) == 0;
    return event_pending(&bev->ev_read, EV_READ, nullptr) != 0 || (self->short_of_memory && !self->told);
}

bool waits_for_writing(const subject *self)
{
    struct bufferevent *bev = self->bev;
    if (self->on == nullptr || self->on->stalled)
        return false;
    if (event_pending(&bev->ev_write, EV_WRITE, nullptr) != 0)
        return true;
    int suspended = BEV_UPCAST(bev)->write_suspended;
    bool forgotten = self->short_of_memory && !self->told && suspended == 0 && !self->on->refused;
    return (forgotten || suspended != 0) && (suspended & ~held_by_rate) == 0 &&
           (bufferevent_get_enabled(bev) & EV_WRITE) != 0 && evbuffer_get_length(bufferevent_get_output(bev)) > 0;
}

} // namespace

struct bufferevent *bufferevent_make(struct event_base *base, evutil_socket_t fd, int options, bool over_handle)
{
    return over_handle ? bufferevent_iocp_handle_new(base, reinterpret_cast<void *>(fd), options)
                       : bufferevent_socket_new(base, fd, options);
}

bool subject_start(subject *self, const script &from_script, int index, struct event_base *base)
{
    self->index = index;
    self->options = from_script.options[index];
    self->short_of_memory = from_script.about == flavour::shortage;
    self->base = base;
    self->loop_thread = GetCurrentThreadId();
    return subject_make(self);
}

bool subject_make(subject *self)
{
    evutil_socket_t fd = self->on != nullptr ? static_cast<evutil_socket_t>(self->on->near_end) : -1;
    if (self->on != nullptr)
        self->on->near_owned = subject_owns_descriptor(self);
    self->bev = bufferevent_make(self->base, fd, self->options, self->over_handles);
    if (self->bev == nullptr)
        return false;
    self->input.clear();
    evbuffer_add_cb(bufferevent_get_input(self->bev), on_input, self);
    subject_set_callbacks(self, 7);
    return true;
}

void subject_set_callbacks(subject *self, int which)
{
    bufferevent_setcb(self->bev, (which & 1) != 0 ? on_read : nullptr, (which & 2) != 0 ? on_write : nullptr,
                      (which & 4) != 0 ? on_event : nullptr, self);
}

// Not for reading where a connect was refused: Wine then reports an end of the stream, and Windows nothing.
int subject_enable(subject *self, int events)
{
    bool refused = self->on != nullptr && self->on->refused;
    int result = bufferevent_enable(self->bev, static_cast<short>(refused ? events & ~EV_READ : events));
    self->told = self->told || result != 0;
    return result;
}

void subject_write(subject *self, int bytes)
{
    // A socket sends a little to nobody before it fails, and a pipe fails at once.
    if (self->on != nullptr && self->on->left)
        return;
    std::string data(static_cast<size_t>(bytes), '\0');
    for (size_t i = 0; i < data.size(); ++i)
        data[i] = stream_byte(50 + self->index, self->written + i);
    if (bufferevent_write(self->bev, data.data(), data.size()) != 0)
        return;
    self->written += data.size();
    self->expected += data;
    if (evbuffer_get_length(bufferevent_get_output(self->bev)) > surely_sent_at_once)
        self->written_much = true;
}

void subject_free(subject *self)
{
    self->drained_when_freed = subject_drained(self);
    if (self->on != nullptr && subject_owns_descriptor(self)) {
        self->on->near_closed = true;
        self->on->closed_amid_data = self->fuzzy_read;
    }
    struct bufferevent *freed = self->bev;
    self->bev = nullptr;
    bufferevent_free(freed);
}

bool subject_owns_descriptor(const subject *self)
{
    return (self->options & BEV_OPT_CLOSE_ON_FREE) != 0;
}

void subject_move(subject *self, connection *to)
{
    self->input_unknown = self->input_unknown || self->fuzzy_read;
    self->left_connecting = self->left_connecting || (self->on != nullptr && self->on->connecting);
    self->on = to;
    if (to != nullptr)
        to->near_owned = subject_owns_descriptor(self);
    bufferevent_setfd(self->bev, to != nullptr ? static_cast<evutil_socket_t>(to->near_end) : -1);
}

size_t subject_drained(const subject *self)
{
    if (self->bev == nullptr)
        return self->drained_when_freed;
    return self->expected.size() - evbuffer_get_length(bufferevent_get_output(self->bev));
}

void subject_output_changed(subject *self, size_t drained_before)
{
    struct evbuffer *output = bufferevent_get_output(self->bev);
    std::string left(evbuffer_get_length(output), '\0');
    evbuffer_unfreeze(output, 1);
    evbuffer_copyout(output, &left[0], left.size());
    evbuffer_freeze(output, 1);
    self->expected.resize(drained_before);
    self->expected += left;
}

void subject_input_changed(subject *self)
{
    struct evbuffer *input = bufferevent_get_input(self->bev);
    self->input.assign(evbuffer_get_length(input), '\0');
    evbuffer_copyout(input, &self->input[0], self->input.size());
}

void subject_receive(subject *self)
{
    for (; self->checked < self->got.size(); ++self->checked) {
        if (self->checked >= self->expected.size() || self->got[self->checked] != self->expected[self->checked]) {
            if (self->wrong.find("wrong bytes sent") == std::string::npos)
                self->wrong += " wrong bytes sent;";
            break;
        }
    }
    // (One that is freed when told of its connection still sends what it has, on any backend.)
    if (self->bev != nullptr && self->got.size() > subject_drained(self))
        self->wrong += " its peer has what stands in the output;";
}

bool subject_is_quiet(const subject *self, const char **why)
{
    if (self->bev == nullptr)
        return true;
    if (waits_for_writing(self))
        *why = "to be written";
    else if (waits_for_reading(self))
        *why = "to be read";
    else
        return true;
    return false;
}

} // namespace parity
