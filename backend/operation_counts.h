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

// The call that starts it has returned.
void operation_started(operation_counts *self, const completion *operation, const sys::start_result &result);
void operation_cancelled(const completion *operation);
// Its packet has come.
void operation_ended(operation_counts *self, const completion *operation, int error, DWORD bytes);

} // namespace iocp

#endif
