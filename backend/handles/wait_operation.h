// One wait of Windows's for a handle, from where it begins to its packet. It is used again as long as its owner has it.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BACKEND_WAIT_OPERATION_H
#define LIBEVENT_IOCP_BACKEND_WAIT_OPERATION_H

#include "backend/port.h"

struct evwait;

namespace iocp {

struct wait_operation {
    completion operation; // first
    sys::handle_wait wait;
    struct evwait *owner; // not looked at once it is alone
};

// NULL for want of memory. `ended` is told of the signal.
wait_operation *wait_operation_new(struct evwait *owner, const completion_ops *ops);
// 0, or an error. It must be idle.
int wait_operation_start(wait_operation *self, port *on, HANDLE handle);
// Nothing refers to the handle from now on. True: no packet will come, and it is idle. False: it has been signalled, and
// its packet frees it.
bool wait_operation_stop(wait_operation *self, port *on);
void wait_operation_free(wait_operation *self);

// For a table of its owner's: it is called for what was stopped too late, and there is nothing to cancel then.
void wait_operation_ended_alone(completion *operation, int error, DWORD bytes);
void wait_operation_cancel(completion *operation);

} // namespace iocp

#endif
