#include "watcher.h"

namespace parity {

namespace {

constexpr int taken_at_once = 100;

plain_descriptor *descriptor_of(watcher *self)
{
    return &self->of->descriptors[self->descriptor];
}

evutil_socket_t number_of(watcher *self)
{
    return static_cast<evutil_socket_t>(descriptor_of(self)->on.near_end);
}

// 0: both.
short direction_of(const watcher *self)
{
    auto both = static_cast<short>(EV_READ | EV_WRITE);
    auto wanted = static_cast<short>(self->events & both);
    return wanted == both ? static_cast<short>(0) : wanted;
}

// Whether who reads or who writes is told first is for the base to say, though select says that it is who reads, and so
// is whether they are told in one turn. So who waits for one may not change what another sees who waits for the other.
bool are_alike(const watcher *self, const watcher *other)
{
    return direction_of(self) != 0 && direction_of(self) == direction_of(other) &&
           self->descriptor == other->descriptor && !watcher_goes_to_and_fro(self) && !watcher_goes_to_and_fro(other);
}

bool is_alone(const watcher *self)
{
    for (const watcher &other : self->of->watchers)
        if (other.made != nullptr && other.descriptor == self->descriptor && !are_alike(self, &other) &&
            watcher_pending(&other) != 0)
            return false;
    return true;
}

void note_call(watcher *self, short what)
{
    plain_world *w = self->of;
    if (self->changes != w->changes) {
        self->told_lately = 0;
        self->told_of_lately = 0;
        self->changes = w->changes;
    }
    ++self->told_lately;
    self->told_of_lately = static_cast<short>(self->told_of_lately | what);
    if (self->calls++ == 0 && (what & EV_TIMEOUT) == 0 && direction_of(self) != 0)
        descriptor_of(self)->order[direction_of(self) == EV_WRITE] += " " + std::to_string(self->index);
    self->told = static_cast<short>(self->told | what);
    self->timed_out = self->timed_out || (what & EV_TIMEOUT) != 0;
}

void on_told(evutil_socket_t fd, short what, void *argument);

// Sends what it holds. False: some is left.
bool send_held(watcher *self)
{
    if (self->held.empty())
        return true;
    plain_descriptor *on = descriptor_of(self);
    int sent = send(on->on.near_end, self->held.data(), static_cast<int>(self->held.size()), 0);
    if (sent < 0 && WSAGetLastError() == WSAEWOULDBLOCK)
        return false;
    if (sent < 0) {
        self->held.clear();
        return true;
    }
    on->expected.append(self->held, 0, static_cast<size_t>(sent));
    self->held.erase(0, static_cast<size_t>(sent));
    ++self->of->changes;
    return self->held.empty();
}

// True: it has met the end, and waits no longer.
bool receive_all(watcher *self, std::string *into)
{
    bool ended = false;
    while (descriptor_receive(self->of, descriptor_of(self), 65536, &ended, into) > 0)
        continue;
    if (ended)
        watcher_del(self);
    return ended;
}

// Of two that wait for the same, one that is told all the time may not come first.
void set_priority(watcher *self)
{
    int lowest = self->of->priorities - 1;
    event_priority_set(self->made, watcher_is_insistent(self) || self->priority > lowest ? lowest : self->priority);
}

void turn_round(watcher *self, short events)
{
    watcher_del(self);
    self->events = static_cast<short>((self->events & EV_PERSIST) | events);
    event_assign(self->made, self->of->base, number_of(self), self->events, on_told, self);
    set_priority(self);
    watcher_add(self, nullptr);
}

void echo_by_switching(watcher *self, short what)
{
    if ((what & EV_READ) != 0 && receive_all(self, &self->held) && self->held.empty())
        return;
    bool done = (what & EV_WRITE) == 0 || send_held(self);
    short next = self->held.empty() && done ? EV_READ : EV_WRITE;
    if ((self->events & next) == 0 || (self->events & EV_PERSIST) == 0)
        turn_round(self, next);
}

void echo_beside(watcher *self, short what)
{
    watcher *writer = &self->of->watchers[(self->index + 1) % max_watchers];
    if ((what & EV_READ) == 0)
        return;
    receive_all(self, &self->held);
    if (writer->made != nullptr && !self->held.empty() && (writer->events & EV_WRITE) != 0 &&
        writer->descriptor == self->descriptor) {
        writer->held += self->held;
        watcher_add(writer, nullptr);
    }
    self->held.clear();
}

void echo_and_rearm(watcher *self)
{
    bool ended = receive_all(self, &self->held);
    send_held(self);
    if (ended)
        return;
    event_del(self->made);
    event_add(self->made, nullptr);
}

void write_and_stop(watcher *self)
{
    if (self->held.empty() && !watcher_goes_to_and_fro(self))
        descriptor_send(self->of, descriptor_of(self), taken_at_once + self->index);
    else
        send_held(self);
    watcher_del(self);
}

void behave(watcher *self, short what)
{
    bool ended = false;
    if (direction_of(self) == 0 && !is_alone(self))
        return;
    bool reads =
        self->how == manner::takes_all || self->how == manner::takes_some || self->how == manner::echoes_and_rearms;
    if (reads && direction_of(self) == EV_WRITE)
        return; // it has turned round
    switch (self->how) {
    case manner::stops:
        watcher_del(self);
        break;
    case manner::takes_all:
        receive_all(self, nullptr);
        break;
    case manner::takes_some:
        descriptor_receive(self->of, descriptor_of(self), taken_at_once + 37 * self->index, &ended, nullptr);
        if (ended)
            watcher_del(self);
        break;
    case manner::writes_and_stops:
        write_and_stop(self);
        break;
    case manner::echoes_by_switching:
        echo_by_switching(self, what);
        break;
    case manner::echoes_and_rearms:
        echo_and_rearm(self);
        break;
    case manner::echoes_beside:
        echo_beside(self, what);
        break;
    default:
        break;
    }
}

void do_to_other(watcher *self, deed what)
{
    watcher *other = &self->of->watchers[self->other];
    if (other->made == nullptr || !are_alike(self, other))
        return;
    if (what == deed::add_other)
        watcher_add(other, nullptr);
    else if (what == deed::del_other)
        watcher_del(other);
    else if (what == deed::free_other)
        watcher_free(other);
    else
        watcher_activate(other, EV_READ);
}

void act(watcher *self, deed what)
{
    plain_descriptor *on = descriptor_of(self);
    bool ended = false;
    ++self->of->changes;
    switch (what) {
    case deed::del:
        watcher_del(self);
        break;
    case deed::free_itself:
        watcher_free(self);
        break;
    case deed::rearm:
        watcher_del(self);
        watcher_add(self, nullptr);
        break;
    case deed::turn_round:
        if (direction_of(self) != 0 && is_alone(self))
            turn_round(self, static_cast<short>(~self->events & (EV_READ | EV_WRITE)));
        break;
    case deed::send:
        descriptor_send(self->of, on, self->bytes);
        break;
    case deed::receive:
        if (direction_of(self) == EV_READ)
            descriptor_receive(self->of, on, self->bytes, &ended, nullptr);
        break;
    case deed::reuse_number:
        if (is_alone(self))
            descriptor_reuse(self->of, on, self->bytes % 2 == 0, self->bytes % 3 == 0);
        break;
    default:
        do_to_other(self, what);
        break;
    }
}

void on_told(evutil_socket_t fd, short what, void *argument)
{
    auto *self = static_cast<watcher *>(argument);
    what = static_cast<short>(what & ~EV_CLOSED); // of which select knows nothing
    if (what == 0)
        return;
    note_call(self, what);
    if (self->made == nullptr || fd != number_of(self)) {
        self->of->wrong += " told after free, or of another descriptor;";
        return;
    }
    if ((what & EV_TIMEOUT) != 0) {
        watcher_del(self);
        return;
    }
    deed next = direction_of(self) != 0 ? self->next : deed::none;
    self->next = deed::none;
    if (next != deed::none)
        act(self, next);
    else
        behave(self, what);
}

} // namespace

void watcher_make(watcher *self, int descriptor, short events, manner how)
{
    watcher_free(self);
    self->descriptor = descriptor;
    self->events = events;
    self->how = how;
    self->made = event_new(self->of->base, number_of(self), events, on_told, self);
    set_priority(self);
}

void watcher_add(watcher *self, const struct timeval *timeout)
{
    ++self->of->changes;
    if (event_add(self->made, timeout) != 0)
        self->of->wrong += " cannot add;";
}

void watcher_del(watcher *self)
{
    ++self->of->changes;
    if (event_del(self->made) != 0)
        self->of->wrong += " cannot delete;";
}

void watcher_free(watcher *self)
{
    if (self->made == nullptr)
        return;
    ++self->of->changes;
    event_free(self->made);
    self->made = nullptr;
}

bool watcher_is_insistent(const watcher *self)
{
    bool writes = (self->events & EV_WRITE) != 0;
    switch (self->how) {
    case manner::stops:
    case manner::writes_and_stops:
        return false;
    case manner::echoes_by_switching:
        return writes && (self->events & EV_READ) != 0;
    case manner::leaves:
        return true;
    default:
        return writes;
    }
}

void watcher_set_priority(watcher *self, int priority)
{
    self->priority = priority;
    set_priority(self); // refused while it is active
}

namespace {

bool others_read(const watcher *self)
{
    for (const watcher &other : self->of->watchers)
        if (&other != self && other.descriptor == self->descriptor && (watcher_pending(&other) & EV_READ) != 0)
            return true;
    return false;
}

} // namespace

// It would take what the others on its descriptor are told of in this turn or the next, which is chance.
void watcher_activate(watcher *self, short what)
{
    if ((what & EV_READ) != 0 && others_read(self))
        return;
    self->was_activated = true;
    event_active(self->made, what, 1);
}

bool watcher_goes_to_and_fro(const watcher *self)
{
    const watcher *before = &self->of->watchers[(self->index + max_watchers - 1) % max_watchers];
    bool is_added_by_reader = before->descriptor == self->descriptor && before->how == manner::echoes_beside;
    return self->how == manner::echoes_by_switching || is_added_by_reader;
}

short watcher_pending(const watcher *self)
{
    if (self->made == nullptr)
        return 0;
    return static_cast<short>(event_pending(self->made, EV_READ | EV_WRITE | EV_TIMEOUT | EV_CLOSED, nullptr));
}

} // namespace parity
