// How often plain events are looked at together, by one call for all.
//
// Invariant: after looks that found none of them ready, more and more are left out, and never more than
// max_looks_together_left_out; one that finds somebody brings back the first pace.
#ifndef LIBEVENT_IOCP_BACKEND_TOGETHER_PACE_H
#define LIBEVENT_IOCP_BACKEND_TOGETHER_PACE_H

namespace iocp {

constexpr unsigned max_looks_together_left_out = 32;

// All zeros: the next one is taken.
struct together_pace {
    unsigned left_out;
    unsigned to_leave_out;
};

// Asked when several sockets could be looked at by one call.
inline bool together_pace_is_due(together_pace *self)
{
    if (self->to_leave_out == 0)
        return true;
    --self->to_leave_out;
    return false;
}

inline void together_pace_looked(together_pace *self, unsigned found)
{
    unsigned longer = self->left_out * 2 + 1;
    if (longer > max_looks_together_left_out)
        longer = max_looks_together_left_out;
    self->left_out = found > 0 ? 0 : longer;
    self->to_leave_out = self->left_out;
}

} // namespace iocp

#endif
