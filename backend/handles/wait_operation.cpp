#include "backend/handles/wait_operation.h"

namespace iocp {

wait_operation *wait_operation_new(struct evwait *owner, const completion_ops *ops)
{
    auto *self = static_cast<wait_operation *>(mm_calloc(1, sizeof(wait_operation)));
    if (self == nullptr)
        return nullptr;
    completion_init(&self->operation, ops);
    self->owner = owner;
    return self;
}

int wait_operation_start(wait_operation *self, port *on, HANDLE handle)
{
    OVERLAPPED *overlapped = completion_begin_file(&self->operation, handle);
    int error = sys::wait_start(&self->wait, handle, on->for_libevent.port, port_operations_key(on), overlapped);
    sys::start_result result = {error == 0 ? sys::started::pending : sys::started::failed, error, 0};
    completion_settle_start(on, &self->operation, result);
    return error;
}

bool wait_operation_stop(wait_operation *self, port *on)
{
    if (sys::wait_stop(&self->wait)) {
        completion_abandon(&self->operation);
        return false;
    }
    completion_withdraw(on, &self->operation);
    return true;
}

void wait_operation_free(wait_operation *self)
{
    EVUTIL_ASSERT(!self->operation.pending);
    sys::wait_close(&self->wait);
    mm_free(self);
}

void wait_operation_ended_alone(completion *operation, int, DWORD)
{
    wait_operation_free(reinterpret_cast<wait_operation *>(operation));
}

void wait_operation_cancel(completion *)
{
}

} // namespace iocp
