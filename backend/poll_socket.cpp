#include "backend/poll_socket.h"
#include "backend/backend.h"
#include "backend/listening_socket.h"
#include "backend/poll_together.h"
#include "backend/socket_registry.h"

namespace iocp {

namespace {

// What ends any poll, whatever was asked.
constexpr ULONG always = sys::afd_abort | sys::afd_local_close | sys::afd_connect_failed;

poll_socket *poll_from_source(source *as_source)
{
    return reinterpret_cast<poll_socket *>(as_source);
}

afd_poll *poll_from_completion(completion *operation)
{
    return reinterpret_cast<afd_poll *>(operation);
}

ULONG poll_mask_for(short wanted)
{
    ULONG mask = 0;
    if ((wanted & EV_WRITE) != 0)
        mask |= sys::afd_send | always;
    // Urgent data is left out: select reports it as writability, which helps nobody.
    if ((wanted & EV_READ) != 0)
        mask |= sys::afd_receive | sys::afd_accept | sys::afd_disconnect | always;
    if ((wanted & EV_CLOSED) != 0)
        mask |= sys::afd_disconnect | sys::afd_abort | sys::afd_local_close; // a failed connect closes nothing
    return mask;
}

// A connect that has failed makes the socket writable, and on select nothing else. Who waits to read alone, and would
// hear nothing there, is told all the same.
short poll_ready_from(ULONG events, short wanted)
{
    short ready = 0;
    bool fails_to_reader = (events & sys::afd_connect_failed) != 0 && (wanted & EV_WRITE) == 0;
    if (fails_to_reader || (events & (sys::afd_receive | sys::afd_accept | sys::afd_disconnect | sys::afd_abort)) != 0)
        ready |= EV_READ;
    if ((events & (sys::afd_send | sys::afd_abort | sys::afd_connect_failed)) != 0)
        ready |= EV_WRITE;
    if ((events & (sys::afd_disconnect | sys::afd_abort)) != 0)
        ready |= EV_CLOSED;
    return ready;
}

// The socket can be polled no more. Everybody who waits is told once.
short poll_give_up(poll_socket *self)
{
    self->dead = true;
    return source_events;
}

// Whether the descriptor is a socket: asked anew when it may have been closed since. (One that was closed past libevent
// is found out by the look or the poll that comes next.) Under a layered provider there is another handle to it.
int poll_check(poll_socket *self)
{
    auto socket = static_cast<SOCKET>(source_descriptor(&self->as_source));
    unsigned closes = registry_closes(source_descriptor(&self->as_source));
    if (self->checked && self->close_count == closes && self->base_socket == socket)
        return 0;
    int type = 0;
    int error = sys::socket_type(socket, &type);
    if (error != 0)
        return error;
    if (type == SOCK_DGRAM) {
        sys::ignore_datagram_report(socket, sys::datagram_report::port_unreachable);
        sys::ignore_datagram_report(socket, sys::datagram_report::time_exceeded);
    }
    self->listens = type == SOCK_STREAM && sys::is_listening(socket);
    self->base_socket = socket;
    self->close_count = closes;
    self->checked = true;
    self->misses = 0;
    return 0;
}

// No listener has the socket for itself while an event waits for it. (Without memory for that the listener comes
// first.)
void poll_begin_use(poll_socket *self)
{
    if (self->listens && self->listening == nullptr)
        self->listening = listening_begin(source_descriptor(&self->as_source), listening_new());
}

void poll_end_use(poll_socket *self)
{
    if (self->listening != nullptr)
        listening_end(self->listening);
    self->listening = nullptr;
}

// Closed without event_del, before the poll ended or before its packet was dequeued. The number may be another socket's
// by now, which then has the interest, as on select.
short poll_ready_after_close(poll_socket *self)
{
    self->checked = self->dead = false;
    poll_end_use(self);
    if (poll_check(self) != 0)
        return poll_give_up(self);
    poll_begin_use(self);
    source_owner(&self->as_source)->loop.retry_soon = true; // nothing of it is in flight
    source_queue(&self->as_source);
    return 0;
}

// `at_once`: in the call that started it, so that what it tells is of now, as on select, whoever closes sockets
// meanwhile.
short poll_ready_after(poll_socket *self, const afd_poll *poll, bool at_once)
{
    if (poll->info.count == 0)
        return 0;
    bool may_be_another = !at_once && poll->close_count != registry_closes(source_descriptor(&self->as_source));
    if (may_be_another || (poll->info.events & sys::afd_local_close) != 0)
        return poll_ready_after_close(self);
    return poll_ready_from(poll->info.events, self->as_source.wanted);
}

// The packet says what the kernel found when the poll ended. If callbacks have run since, they may have read those bytes or
// filled that room, of which select would tell nobody.
bool poll_may_be_old(const afd_poll *poll)
{
    const loop *of = &source_owner(&poll->owner->as_source)->loop;
    return !of->is_in_turn || poll->turn != of->turn;
}

void poll_ended(completion *operation, int error, DWORD)
{
    constexpr ULONG passing = sys::afd_receive | sys::afd_accept | sys::afd_send; // an end stays
    afd_poll *poll = poll_from_completion(operation);
    poll_socket *self = poll->owner;
    short ready;
    if (error == 0)
        ready = poll_ready_after(self, poll, false);
    else if (error == WSA_OPERATION_ABORTED || sys::is_shortage(error))
        ready = 0; // cancelled, not by us: the thread that started it has ended. The next submit starts it again.
    else
        ready = poll_give_up(self);
    if (ready != 0)
        self->misses = 0;
    bool was_just_asked = self->polled_again && source_owner(&self->as_source)->loop.turn - poll->turn <= 1;
    bool is_believed = self->dead || was_just_asked || !poll_may_be_old(poll);
    self->polled_again = false;
    if (ready != 0 && !is_believed) {
        // A connect that has failed may be followed by another one. (No look tells one who only reads of it.)
        ULONG staying = ~passing & ~((self->as_source.wanted & EV_WRITE) != 0 ? ULONG{sys::afd_connect_failed} : 0);
        ready = poll_ready_from(poll->info.events & staying, self->as_source.wanted);
        if (ready == 0) {
            self->polled_again = !poll_socket_may_be_looked_at(self); // which may take a packet once more
            source_hint(&self->as_source);
            return;
        }
    }
    source_ready(&self->as_source, ready);
}

void poll_free(completion *operation, int, DWORD)
{
    afd_poll *poll = poll_from_completion(operation);
    afd_device_release(poll->device);
    mm_free(poll);
}

void poll_cancel(completion *operation)
{
    sys::cancel(poll_from_completion(operation)->device->handle, &operation->overlapped);
}

const completion_ops poll_operation_ops = {operation_kind::poll, poll_ended, poll_free, poll_cancel};

int poll_new(poll_socket *self, afd_poll **created)
{
    auto *poll = static_cast<afd_poll *>(mm_calloc(1, sizeof(afd_poll)));
    if (poll == nullptr)
        return WSAENOBUFS;
    backend *owner = source_owner(&self->as_source);
    int error = afd_device_acquire(&owner->devices, owner->port, &poll->device);
    if (error != 0) {
        mm_free(poll);
        return error;
    }
    completion_init(&poll->operation, &poll_operation_ops);
    poll->owner = self;
    *created = poll;
    return 0;
}

void poll_drop(poll_socket *self)
{
    if (self->poll == nullptr)
        return;
    completion_disown(&self->poll->operation);
    self->poll = nullptr;
}

sys::start_result poll_start(poll_socket *self, afd_poll *poll, ULONG mask)
{
    poll->info.timeout.QuadPart = INT64_MAX;
    poll->info.count = 1;
    poll->info.exclusive = FALSE;
    poll->info.socket = reinterpret_cast<HANDLE>(self->base_socket);
    poll->info.events = poll->asked = mask;
    poll->close_count = registry_closes(source_descriptor(&self->as_source));
    poll->turn = source_owner(&self->as_source)->loop.turn;
    poll->info.status = 0;
    port *on = source_owner(&self->as_source)->port;
    OVERLAPPED *overlapped = completion_begin(&poll->operation, source_descriptor(&self->as_source));
    return completion_settle_start(on, &poll->operation, sys::afd_poll(poll->device->handle, &poll->info, overlapped));
}

// Through a layered provider the socket is no handle that AFD knows; underneath there is one.
bool poll_find_base_socket(poll_socket *self)
{
    SOCKET base;
    if (sys::base_socket(static_cast<SOCKET>(source_descriptor(&self->as_source)), &base) != 0 ||
        base == self->base_socket)
        return false;
    self->base_socket = base;
    return true;
}

short poll_submit_failed(poll_socket *self, int error)
{
    if (sys::is_shortage(error)) {
        source_owner(&self->as_source)->loop.retry_soon = true;
        source_queue(&self->as_source);
        return 0;
    }
    return poll_give_up(self);
}

bool poll_in_flight(const poll_socket *self)
{
    return self->poll != nullptr && self->poll->operation.pending;
}

// Is in flight, and ends by whatever is wanted.
bool poll_covers(const poll_socket *self, short wanted)
{
    return poll_in_flight(self) && (poll_mask_for(wanted) & ~self->poll->asked) == 0;
}

// What interest has grown by is ready already? (If a look for it was in vain just now, it is not.)
short poll_look_beside(const poll_socket *self)
{
    short looked_for = poll_socket_unasked(self);
    bool only_a_poll_tells = (self->as_source.wanted & EV_CLOSED) != 0 && !poll_covers(self, EV_CLOSED);
    if (only_a_poll_tells || self->misses != 0 || !poll_socket_may_be_looked_at(self))
        return 0;
    sys::look seen = {static_cast<SOCKET>(source_descriptor(&self->as_source)), (looked_for & EV_READ) != 0,
                      (looked_for & EV_WRITE) != 0, false};
    if (sys::look_now(&seen, 1) != 0 || seen.fails)
        return 0; // a poll tells why
    return static_cast<short>((seen.reads ? EV_READ : 0) | (seen.writes ? EV_WRITE : 0));
}

// One that is in flight for less than is wanted goes, once there is memory for the next.
int poll_prepare(poll_socket *self)
{
    if (self->poll != nullptr && !poll_in_flight(self))
        return 0;
    afd_poll *next = nullptr;
    int error = poll_new(self, &next);
    if (error != 0)
        return error;
    poll_drop(self);
    self->poll = next;
    return 0;
}

short poll_submit_all(poll_socket *self)
{
    int error = poll_prepare(self);
    if (error != 0)
        return poll_submit_failed(self, error);
    ULONG mask = poll_mask_for(self->as_source.wanted);
    sys::start_result result = poll_start(self, self->poll, mask);
    if (result.how == sys::started::failed && !sys::is_shortage(result.error) && poll_find_base_socket(self))
        result = poll_start(self, self->poll, mask);
    if (result.how == sys::started::failed)
        return poll_submit_failed(self, result.error);
    return result.how == sys::started::done ? poll_ready_after(self, self->poll, true) : static_cast<short>(0);
}

int poll_widened(source *as_source, bool first)
{
    poll_socket *self = poll_from_source(as_source);
    if (self->dead)
        self->checked = false;
    self->dead = false;
    self->misses = 0; // nobody has looked for what is new
    int error = first ? poll_check(self) : 0;
    if (error == 0)
        poll_begin_use(self);
    return error;
}

// A poll nobody waits for any more is let go at once: the program may close the socket next, and its descriptor may
// come back as another socket, whose events must not come from this poll.
void poll_narrowed(source *as_source)
{
    poll_socket *self = poll_from_source(as_source);
    if (as_source->wanted != 0)
        return;
    if (poll_in_flight(self))
        poll_drop(self);
    source_unqueue(as_source);
    poll_end_use(self);
}

// Only the kernel knows.
short poll_ready(const source *)
{
    return 0;
}

short poll_submit(source *as_source)
{
    poll_socket *self = poll_from_source(as_source);
    if (self->dead || poll_covers(self, self->as_source.wanted))
        return 0;
    short ready = poll_in_flight(self) ? poll_look_beside(self) : static_cast<short>(0);
    if (ready == 0)
        ready = static_cast<short>(poll_submit_all(self) & self->as_source.wanted);
    if (ready != 0) {
        self->misses = 0;
        self->polled_again = false;
    }
    return ready;
}

// Never asked: it is the record's own.
void poll_base_ends(source *)
{
}

const source_ops poll_ops = {poll_widened,   poll_narrowed, poll_ready, poll_submit,
                             poll_base_ends, source_polls,  nullptr};

} // namespace

short poll_socket_unasked(const poll_socket *self)
{
    short wanted = self->as_source.wanted;
    bool reads = (wanted & EV_READ) != 0 && !poll_covers(self, EV_READ);
    bool writes = (wanted & EV_WRITE) != 0 && !poll_covers(self, EV_WRITE);
    return static_cast<short>((reads ? EV_READ : 0) | (writes ? EV_WRITE : 0));
}

bool poll_socket_may_be_looked_at(const poll_socket *self)
{
    return !self->dead && self->base_socket == static_cast<SOCKET>(source_descriptor(&self->as_source));
}

bool poll_socket_revive(poll_socket *self)
{
    if (!self->dead || self->as_source.wanted == 0)
        return false;
    return poll_ready_after_close(self) == 0;
}

poll_socket *poll_socket_new(owned_descriptor *of)
{
    auto *self = static_cast<poll_socket *>(mm_calloc(1, sizeof(poll_socket)));
    if (self == nullptr)
        return nullptr;
    source_init(&self->as_source, &poll_ops, of);
    self->base_socket = static_cast<SOCKET>(of->fd);
    return self;
}

void poll_socket_destroy(poll_socket *self)
{
    source_unqueue(&self->as_source);
    self->as_source.wanted = 0;
    poll_end_use(self);
    poll_drop(self);
}

} // namespace iocp
