// Whether the port is looked at before receives are started: packets may have come whose owners are to send first.
//
// Invariants: after a look that brought nothing, looks_left_out are left out, unless somebody has to wait meanwhile;
// and after max_looks_in_row that all brought something, receives get their turn.
#ifndef LIBEVENT_IOCP_BACKEND_FIRST_LOOK_H
#define LIBEVENT_IOCP_BACKEND_FIRST_LOOK_H

namespace iocp {

constexpr unsigned looks_left_out = 31;
constexpr unsigned max_looks_in_row = 8;

// All zeros: the next one is taken.
struct first_look {
    unsigned to_leave_out;
    unsigned in_row; // that brought packets, since receives had their turn
};

// Asked before receives are started while others are in flight.
inline bool first_look_is_due(first_look *self)
{
    if (self->in_row >= max_looks_in_row)
        return false;
    if (self->to_leave_out == 0)
        return true;
    --self->to_leave_out;
    return false;
}

inline void first_look_taken(first_look *self, bool brought_packets)
{
    if (brought_packets)
        ++self->in_row;
    else
        self->to_leave_out = looks_left_out;
}

// One that was started has to wait: its packet is on its way, or the others will wait as well.
inline void first_look_may_bring(first_look *self)
{
    self->to_leave_out = 0;
}

inline void first_look_receives_started(first_look *self)
{
    self->in_row = 0;
}

} // namespace iocp

#endif
