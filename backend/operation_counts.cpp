#include "backend/operation_counts.h"

namespace iocp {

namespace {

const char *const names[] = {"poll", "receive", "send", "connect", "accept", "directory", "wait"};
static_assert(sizeof(names) / sizeof(names[0]) == static_cast<size_t>(operation_kind::count), "each has its name");

const char *operation_name(const completion *operation)
{
    return names[static_cast<int>(operation->ops->kind)];
}

// A descriptor as libevent's own messages show it.
long long operation_descriptor(const completion *operation)
{
    return static_cast<long long>(completion_descriptor(operation));
}

} // namespace

void operation_log_started(const completion *operation, const sys::start_result &result)
{
    (void)operation; // where the log is left out of the build
    if (result.how == sys::started::pending) {
        event_debug(("iocp: %s on %lld started", operation_name(operation), operation_descriptor(operation)));
        return;
    }
    bool failed = result.how == sys::started::failed;
    (void)failed;
    event_debug(("iocp: %s on %lld %s at once: %lu bytes, error %d", operation_name(operation),
                 operation_descriptor(operation), failed ? "failed" : "done", static_cast<unsigned long>(result.bytes),
                 result.error));
}

void operation_cancelled(const completion *operation)
{
    event_debug(("iocp: %s on %lld cancelled", operation_name(operation), operation_descriptor(operation)));
    (void)operation; // where the log is left out of the build
}

void operation_ended(operation_counts *self, const completion *operation, int error, DWORD bytes)
{
    struct event_iocp_operation_stats *stats = operation_stats(self, operation);
    --stats->in_flight;
    if (operation->cancelled)
        ++stats->cancelled;
    else if (error != 0)
        ++stats->failed;
    event_debug(("iocp: %s on %lld ended: %lu bytes, error %d%s", operation_name(operation),
                 operation_descriptor(operation), static_cast<unsigned long>(bytes), error,
                 operation->alone ? ", let go" : ""));
}

} // namespace iocp
