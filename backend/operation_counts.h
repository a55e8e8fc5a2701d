// What becomes of a port's operations, for who looks on: counted for event_iocp_get_stats, and told to libevent's debug
// log (event_enable_debug_logging).
//
// Threads: with the base's lock held, like the operations themselves.
#ifndef LIBEVENT_IOCP_BACKEND_OPERATION_COUNTS_H
#define LIBEVENT_IOCP_BACKEND_OPERATION_COUNTS_H

#include "backend/completion.h"

#include "event2/iocp.h"

namespace iocp {

struct operation_counts {
    struct event_iocp_operation_stats of[static_cast<int>(operation_kind::count)];
};

inline struct event_iocp_operation_stats *operation_stats(operation_counts *self, const completion *operation)
{
    return &self->of[static_cast<int>(operation->ops->kind)];
}

void operation_log_started(const completion *operation, const sys::start_result &result);
// The call that starts it has returned.
inline void operation_started(operation_counts *self, const completion *operation, const sys::start_result &result)
{
    struct event_iocp_operation_stats *stats = operation_stats(self, operation);
    ++stats->started;
    if (result.how == sys::started::pending)
        ++stats->in_flight;
    else
        ++(result.how == sys::started::failed ? stats->failed : stats->done_at_once);
    if (event_debug_get_logging_mask_() != 0)
        operation_log_started(operation, result);
}
void operation_cancelled(const completion *operation);
// Its packet has come.
void operation_ended(operation_counts *self, const completion *operation, int error, DWORD bytes);

} // namespace iocp

#endif
