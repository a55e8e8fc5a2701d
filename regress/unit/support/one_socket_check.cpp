// What must hold of the one-socket world, and what tells its states apart.
#include "support/one_socket.h"

namespace iocp {

namespace {

bool covers(const poll_socket *poll, ULONG mask)
{
    const afd_poll *attached = poll->poll;
    return attached != nullptr && attached->operation.pending && (mask & ~attached->asked) == 0;
}

size_t attached_in_flight(const poll_socket *poll)
{
    return poll != nullptr && poll->poll != nullptr && poll->poll->operation.pending ? 1 : 0;
}

void check_interest(world *self)
{
    const poll_socket *poll = world_poll(self);
    short model = 0;
    for (int i = 0; i < slot_count; ++i)
        if (self->added[i])
            model = static_cast<short>(model | slot_events[i]);
    if (world_wanted(self) != model)
        world_breaks(self, "the interest is not the events'");
    if (poll == nullptr || model == 0) {
        if (attached_in_flight(poll) != 0 || (poll != nullptr && poll->as_source.place != source_place::nowhere))
            world_breaks(self, "a poll is kept that nobody waits for");
        return;
    }
    if (poll->dead || poll->as_source.place != source_place::nowhere)
        return;
    // Neither to be submitted nor given up: then the kernel must have been asked for all of it.
    ULONG read = (model & EV_READ) != 0 ? sys::afd_receive | sys::afd_accept | sys::afd_disconnect : 0u;
    ULONG closed = (model & EV_CLOSED) != 0 ? ULONG{sys::afd_disconnect} : 0u;
    ULONG end = sys::afd_abort | sys::afd_local_close;
    if ((read | closed) != 0 && !covers(poll, read | closed | end))
        world_breaks(self, "nobody watches for what is wanted", slot_read);
    if ((model & EV_WRITE) != 0 && !covers(poll, sys::afd_send | end))
        world_breaks(self, "nobody watches for what is wanted", slot_write);
}

void settle_turns(world *self, int turns)
{
    for (int i = 0; i < turns; ++i) {
        fake::advance_us(20000);
        world_turn(self);
    }
}

void forget_told(world *self)
{
    for (int &told : self->told)
        told = 0;
}

bool is_ready(const world *self, int i)
{
    ULONG levels = slot_levels[i];
    if (slot_events[i] == EV_READ && (world_wanted(self) & EV_WRITE) != 0)
        levels &= ~ULONG{sys::afd_connect_failed}; // told to who waits to write
    return self->open && (fake::level(self->fd) & levels) != 0;
}

void check_told(world *self, const char *what)
{
    for (int i = 0; i < slot_count; ++i) {
        if (!self->added[i] || self->stale[i])
            continue;
        if (world_is_dead(self) ? !self->told_since_add[i] : is_ready(self, i) && self->told[i] == 0)
            world_breaks(self, what, i);
    }
}

// Nothing may go on where nothing is ready: no activation, no call.
void check_quiet(world *self)
{
    bool any_ready = false;
    for (int i = 0; i < slot_count; ++i)
        any_ready = any_ready || (self->added[i] && is_ready(self, i));
    forget_told(self);
    uint64_t polls = fake::calls(fake::call::afd_poll);
    settle_turns(self, 3);
    if (!any_ready && polls != fake::calls(fake::call::afd_poll))
        world_breaks(self, "polls are started again and again");
    for (int i = 0; i < slot_count; ++i)
        if (self->told[i] != 0 && (world_is_dead(self) || !is_ready(self, i)))
            world_breaks(self, "an event is activated again and again", i);
}

// What is not ready is made so, and must be told.
void poke(world *self)
{
    static const ULONG pokes[] = {sys::afd_receive, sys::afd_send, sys::afd_disconnect};
    for (ULONG bit : pokes) {
        if (!world_set_bits(self, bit, true))
            continue;
        forget_told(self);
        settle_turns(self, 4);
        check_told(self, "an event that became ready is not activated");
    }
}

std::string describe_packet(const world *self, const fake::packet &packet)
{
    const poll_socket *poll = world_poll(self);
    const fake::operation &operation = fake::k().operations.at(packet.overlapped);
    bool is_waited_for =
        poll != nullptr && poll->poll != nullptr && &poll->poll->operation.overlapped == packet.overlapped;
    if (!is_waited_for)
        return "o"; // what a packet nobody waits for says is nothing to anybody
    return 'p' + std::to_string(operation.status == 0 ? static_cast<long>(operation.events) : -1L);
}

} // namespace

void world_check(world *self)
{
    const port *on = backend_of(self->base)->port;
    if (fake::complaint() != nullptr && self->broken.empty())
        self->broken = fake::complaint();
    if (on->in_flight.count != fake::operations_in_flight())
        world_breaks(self, "the port's list is not what the kernel has");
    for (const auto &entry : fake::k().operations) {
        const completion *found = in_flight_find(&on->in_flight, entry.first);
        if (found == nullptr || !found->pending || (found->alone && !found->cancelled))
            world_breaks(self, "an operation in flight is not pending, or let go and not cancelled");
    }
    bool excused = !self->open;
    for (int i = 0; i < slot_count; ++i)
        excused = excused || (self->added[i] && self->excused[i]);
    if (world_is_dead(self) && world_wanted(self) != 0 && !excused)
        world_breaks(self, "a socket that is well was given up");
    check_interest(self);
}

void world_settle(world *self)
{
    fake::k().failures[static_cast<size_t>(fake::call::afd_poll)].times = 0;
    fake::hold_packets(false);
    fake::release_all();
    forget_told(self);
    settle_turns(self, 8); // a look may take one packet only
    check_told(self, "a ready event is not activated");
    for (int i = 0; i < slot_count; ++i)
        if (self->open && self->added[i] && !self->stale[i] && world_is_dead(self) && !self->start_failed)
            world_breaks(self, "the end of a closed socket is put on the next one of its number", i);
    if (!self->open && world_wanted(self) != 0 && !world_is_dead(self))
        world_breaks(self, "a closed socket is not given up");
    if (fake::operations_in_flight() != attached_in_flight(world_poll(self)))
        world_breaks(self, "polls that were let go do not end");
    check_quiet(self);
    world_check(self);
    if (self->open && !world_is_dead(self))
        poke(self);
    world_check(self);
}

std::string world_signature(const world *self)
{
    const poll_socket *poll = world_poll(self);
    const fake::failure &armed = fake::k().failures[static_cast<size_t>(fake::call::afd_poll)];
    std::string text = self->open ? "O" : "C";
    text += std::to_string(self->open ? fake::level(self->fd) : 0);
    text += self->start_failed ? 'f' : '-';
    text += self->closed_under_events ? 't' : '-';
    text += armed.times != 0 ? std::to_string(armed.error) : "-";
    for (int i = 0; i < slot_count; ++i) {
        // Whether it was ever ready, or told, matters only to what the model still watches for.
        bool watched = self->added[i] && !self->stale[i];
        bool justified = watched && (self->excused[i] || (self->seen[i] & slot_levels[i]) != 0);
        bool told = watched && self->excused[i] && self->told_since_add[i];
        int bits = self->added[i] + 2 * self->stale[i] + 4 * justified + 8 * told;
        text += static_cast<char>('A' + bits);
    }
    if (poll != nullptr) {
        const afd_poll *attached = poll->poll;
        text += attached == nullptr ? "n" : !attached->operation.pending ? "i" : "p" + std::to_string(attached->asked);
        text += poll->as_source.place == source_place::nowhere   ? '-'
                : poll->as_source.place == source_place::changed ? 'c'
                : poll->as_source.place == source_place::hinted  ? 'h'
                                                                 : 's';
        text += poll->dead ? 'd' : poll->checked ? 'k' : '-';
        text += std::to_string(poll->misses);
        text += poll->polled_again ? 'a' : '-';
        text += poll->base_socket == static_cast<SOCKET>(source_descriptor(&poll->as_source)) ? 's' : 'b';
    }
    for (const fake::packet &packet : fake::k().packets)
        text += describe_packet(self, packet) + ',';
    return text;
}

} // namespace iocp
