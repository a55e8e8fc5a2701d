#include "support/one_socket.h"

#include <stdio.h>

namespace iocp {

namespace {

constexpr uint64_t world_seed = 1;

bool failure_armed()
{
    const fake::failure &planned = fake::k().failures[static_cast<size_t>(fake::call::afd_poll)];
    return planned.times != 0 && planned.error != WSAENOBUFS;
}

void excuse_all(world *self)
{
    for (bool &excused : self->excused)
        excused = true;
}

// Where no look can tell whether a packet is old, and no poll ends in its call, packets have to be believed at last.
bool packets_are_all(const world *self)
{
    return self->options.layered && self->options.pends_although_ready;
}

void on_event(evutil_socket_t, short what, void *argument)
{
    auto *self = static_cast<world *>(argument);
    for (int i = 0; i < slot_count; ++i) {
        if ((what & slot_events[i]) == 0)
            continue;
        ++self->told[i];
        self->told_since_add[i] = true;
        if (!self->added[i])
            world_breaks(self, "an event that was deleted is activated", i);
        else if ((self->seen[i] & slot_levels[i]) == 0 && !self->excused[i] && !packets_are_all(self))
            world_breaks(self, "an event is activated that was never ready", i);
    }
}

bool any_added(const world *self)
{
    for (bool added : self->added)
        if (added)
            return true;
    return false;
}

void open_socket(world *self)
{
    self->fd = fake::open_socket(fake::kind::stream);
    self->open = true;
    if (self->options.layered)
        fake::put_layer_over(self->fd);
}

bool add(world *self, int i)
{
    if (self->added[i])
        return false;
    bool first = world_wanted(self) == 0;
    int result = event_add(&self->events[i], nullptr);
    if (result != 0 && (self->open || !first)) // of one that is closed the kernel may tell, later
        world_breaks(self, "event_add's result is wrong", i);
    if (result != 0)
        return true;
    self->added[i] = true;
    self->stale[i] = !self->open; // nobody's yet
    self->told_since_add[i] = false;
    self->excused[i] = failure_armed() || !self->open || self->closed_under_events;
    // EV_READ and EV_CLOSED share a poll: what it saw for the one may be told to the other, when that comes too late to
    // know better. (A read then says WSAEWOULDBLOCK.)
    bool shared = (i == slot_read && self->added[slot_closed]) || (i == slot_closed && self->added[slot_read]);
    self->seen[i] = fake::level(self->fd) | (shared ? self->seen[i] : 0);
    return true;
}

bool remove(world *self, int i)
{
    if (!self->added[i])
        return false;
    if (event_del(&self->events[i]) != 0)
        world_breaks(self, "event_del fails", i);
    self->added[i] = self->stale[i] = false;
    self->closed_under_events = self->closed_under_events && any_added(self);
    return true;
}

bool close_socket(world *self)
{
    if (!self->open)
        return false;
    fake::close_by_program(self->fd);
    self->open = false;
    self->closed_under_events = any_added(self);
    for (int i = 0; i < slot_count; ++i)
        self->stale[i] = self->added[i];
    excuse_all(self);
    return true;
}

bool reopen(world *self)
{
    if (self->open)
        return false;
    SOCKET before = self->fd;
    open_socket(self);
    if (self->fd != before)
        world_breaks(self, "the number was not used again");
    return true;
}

bool arm(world *self, int error)
{
    if (fake::k().failures[static_cast<size_t>(fake::call::afd_poll)].times != 0)
        return false;
    fake::fail_calls(fake::call::afd_poll, error);
    if (error != WSAENOBUFS) {
        excuse_all(self);
        self->start_failed = true;
    }
    return true;
}

bool turn_with(world *self, bool (*release)())
{
    if (!release())
        return false;
    world_turn(self);
    return true;
}

bool release_everything()
{
    bool any = fake::packets_queued() > 1;
    if (any)
        fake::release_all();
    return any;
}

bool end_thread()
{
    if (fake::operations_in_flight() == fake::packets_queued())
        return false;
    fake::end_starting_thread();
    return true;
}

bool act_on_socket(world *self, action which)
{
    switch (which) {
    case action::data_comes:
        return world_set_bits(self, sys::afd_receive, true);
    case action::data_goes:
        return world_set_bits(self, sys::afd_receive, false);
    case action::room_comes:
        return world_set_bits(self, sys::afd_send, true);
    case action::room_goes:
        return world_set_bits(self, sys::afd_send, false);
    case action::peer_finishes:
        return world_set_bits(self, sys::afd_disconnect, true);
    case action::peer_aborts:
        return (fake::level(self->fd) & sys::afd_connect_failed) == 0 && world_set_bits(self, sys::afd_abort, true);
    case action::connect_fails: // before anything was received
        return (fake::level(self->fd) & ~ULONG{sys::afd_send}) == 0 &&
               world_set_bits(self, sys::afd_connect_failed, true);
    case action::close:
        return close_socket(self);
    case action::reopen:
        return reopen(self);
    default:
        return false;
    }
}

bool act_on_kernel(world *self, action which)
{
    switch (which) {
    case action::turn:
        world_turn(self);
        return true;
    case action::turn_first:
        return turn_with(self, fake::release_first);
    case action::turn_last:
        return fake::packets_queued() > 1 && turn_with(self, fake::release_last);
    case action::turn_all:
        return turn_with(self, release_everything);
    case action::thread_ends:
        return end_thread();
    case action::start_short_of_memory:
        return arm(self, WSAENOBUFS);
    case action::start_fails:
        return arm(self, WSAEINVAL);
    default:
        return act_on_socket(self, which);
    }
}

} // namespace

const char *action_name(action which)
{
    static const char *const names[] = {
        "add_read",   "add_write",  "add_closed",    "del_read",    "del_write",     "del_closed",
        "turn",       "turn_first", "turn_last",     "turn_all",    "data_comes",    "data_goes",
        "room_comes", "room_goes",  "peer_finishes", "peer_aborts", "connect_fails", "thread_ends",
        "close",      "reopen",     "start_short",   "start_fails",
    };
    static_assert(sizeof(names) / sizeof(names[0]) == static_cast<size_t>(action::count), "a name for each");
    return names[static_cast<size_t>(which)];
}

void world_breaks(world *self, const char *what, int slot)
{
    static const char *const names[] = {"EV_READ", "EV_WRITE", "EV_CLOSED", "socket"};
    if (self->broken.empty())
        self->broken = std::string(what) + " (" + names[slot] + ")";
}

static const socket_record *record_of(const world *self)
{
    size_t first = 0;
    return socket_next(backend_of(self->base), &first);
}

const poll_socket *world_poll(const world *self)
{
    const socket_record *record = record_of(self);
    return record != nullptr ? record->poll : nullptr;
}

short world_wanted(const world *self)
{
    const poll_socket *poll = world_poll(self);
    return poll != nullptr ? poll->as_source.wanted : static_cast<short>(0);
}

bool world_is_dead(const world *self)
{
    const poll_socket *poll = world_poll(self);
    return poll != nullptr && poll->dead;
}

// A turn that looks at the port; turns that only hand on what was ready at once do not.
void world_turn(world *self)
{
    constexpr int flags = EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY;
    uint64_t looks = fake::calls(fake::call::port_dequeue);
    for (int tries = 0; tries < 20 && looks == fake::calls(fake::call::port_dequeue); ++tries) {
        for (ULONG &seen : self->seen)
            seen = self->open ? fake::level(self->fd) : seen;
        if (event_base_loop(self->base, flags) != 0)
            world_breaks(self, "the loop fails");
    }
    if (looks == fake::calls(fake::call::port_dequeue))
        world_breaks(self, "twenty turns without a look at the port");
}

bool world_set_bits(world *self, ULONG bits, bool on)
{
    ULONG before = self->open ? fake::level(self->fd) : 0;
    if (!self->open || ((before & bits) != 0) == on)
        return false;
    fake::set_level(self->fd, on ? before | bits : before & ~bits);
    for (ULONG &seen : self->seen)
        seen |= fake::level(self->fd);
    return true;
}

void world_open(world *self, const world_options &options)
{
    *self = world();
    self->options = options;
    fake::boot(world_seed);
    fake::k().odds.written_late = options.written_late ? 1000 : 0;
    fake::k().odds.pends_although_ready = options.pends_although_ready ? 1000 : 0;
    fake::set_cancel_way(options.cancels_lose ? fake::cancel_way::loses : fake::cancel_way::wins);
    fake::hold_packets(true);
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP | EVENT_BASE_FLAG_IGNORE_ENV);
    self->base = event_base_new_with_config(config);
    event_config_free(config);
    open_socket(self);
    for (int i = 0; i < slot_count; ++i)
        event_assign(&self->events[i], self->base, static_cast<evutil_socket_t>(self->fd),
                     static_cast<short>(slot_events[i] | EV_PERSIST), on_event, self);
}

void world_close(world *self)
{
    fake::hold_packets(false);
    fake::release_all();
    event_base_free(self->base);
    if (fake::complaint_after_free() != nullptr && self->broken.empty())
        self->broken = fake::complaint();
}

bool world_act(world *self, action which)
{
    int number = static_cast<int>(which);
    if (number < slot_count)
        return add(self, number);
    if (number < 2 * slot_count)
        return remove(self, number - slot_count);
    return act_on_kernel(self, which);
}

} // namespace iocp
