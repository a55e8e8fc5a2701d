#include "bufferevent/pipes/pipe_listener.h"

using namespace iocp;

namespace {

// --- instances ------------------------------------------------------------------------------------------------------

void listener_add(pipe_instance_list *list, pipe_instance *instance)
{
    TAILQ_INSERT_TAIL(list, instance, listed);
}

// While it tells, it sees for itself what is left.
void listener_tells_soon(evpipelistener *self)
{
    if (self->enabled && !self->tells_now)
        event_active_nolock_(&self->tells, EV_READ, 1);
}

void listener_has_client(evpipelistener *self, pipe_instance *instance)
{
    listener_add(&self->with_client, instance);
    listener_tells_soon(self);
}

void listener_pauses(evpipelistener *self, int error)
{
    self->error = error;
    self->pause_until_us = backend_now_us(self->owner) + pipe_pause_us;
}

void listener_instance_ended(completion *operation, int error, DWORD)
{
    auto *instance = reinterpret_cast<pipe_instance *>(operation);
    evpipelistener *self = instance->owner;
    TAILQ_REMOVE(&self->waiting, instance, listed);
    --self->waiting_count;
    if (self->owner->draining) {
        --self->open_count;
        pipe_instance_free(instance);
        return;
    }
    if (error == 0) {
        listener_has_client(self, instance);
        return;
    }
    listener_add(&self->idle, instance);
    if (error != ERROR_OPERATION_ABORTED) // of a thread that has ended, which is no fault of the pipe
        listener_pauses(self, error);
    listener_tells_soon(self);
}

void listener_instance_freed(completion *operation, int, DWORD)
{
    pipe_instance_free(reinterpret_cast<pipe_instance *>(operation));
}

const completion_ops listener_ops = {operation_kind::accept, listener_instance_ended, listener_instance_freed};

// 0, or an error, and it is idle.
int listener_start(evpipelistener *self, pipe_instance *instance)
{
    sys::start_result result = pipe_instance_start(self->owner, instance);
    if (result.how == sys::started::failed) {
        listener_add(&self->idle, instance);
        return result.error;
    }
    if (result.how == sys::started::done) {
        listener_has_client(self, instance);
        return 0;
    }
    listener_add(&self->waiting, instance);
    ++self->waiting_count;
    return 0;
}

int listener_start_another(evpipelistener *self, bool is_first)
{
    pipe_instance *instance = TAILQ_FIRST(&self->idle);
    if (instance != nullptr) {
        TAILQ_REMOVE(&self->idle, instance, listed);
        return listener_start(self, instance);
    }
    int error = pipe_instance_new(self->owner, self->path.text, {true, true, is_first, 0, self->security},
                                  &listener_ops, &instance);
    if (error != 0)
        return error;
    instance->owner = self;
    ++self->open_count;
    return listener_start(self, instance);
}

bool listener_lacks(const evpipelistener *self)
{
    return !TAILQ_EMPTY(&self->idle) || self->waiting_count < self->wanted;
}

// A client may take each as soon as it is there, and there may be clients without end.
void listener_fill(evpipelistener *self)
{
    for (unsigned left = 2 * self->wanted; listener_lacks(self) && left != 0; --left) {
        int error = listener_start_another(self, false);
        if (error != 0) {
            listener_pauses(self, error);
            return;
        }
    }
}

// --- what it tells --------------------------------------------------------------------------------------------------

bool listener_can_tell(const evpipelistener *self)
{
    return self->enabled && !TAILQ_EMPTY(&self->with_client) && self->open_count > 1;
}

// The callback may disable the listener, and free it.
void listener_tell_of_clients(evpipelistener *self)
{
    for (unsigned left = self->wanted; left != 0 && listener_can_tell(self); --left) {
        pipe_instance *instance = TAILQ_FIRST(&self->with_client);
        TAILQ_REMOVE(&self->with_client, instance, listed);
        --self->open_count;
        HANDLE handle = pipe_instance_hand_on(instance);
        base_unlocked callback(self->owner->base);
        self->cb(self, handle, self->arg);
    }
}

void listener_tell_of_error(evpipelistener *self)
{
    int error = self->error;
    self->error = 0;
    if (error == 0 || !self->enabled)
        return;
    base_unlocked callback(self->owner->base);
    if (self->error_cb == nullptr) {
        event_warnx("iocp: no instance of a pipe could be made or waited at (error %d)", error);
        return;
    }
    WSASetLastError(error);
    self->error_cb(self, self->arg);
}

// What is left is done in another turn: at once, or when the pause is over.
void listener_goes_on(evpipelistener *self)
{
    if (!self->enabled)
        return;
    bool lacks = listener_lacks(self);
    int64_t pause_us = self->pause_until_us - backend_now_us(self->owner);
    if ((lacks && pause_us <= 0) || listener_can_tell(self)) {
        event_active_later_nolock_(&self->tells, EV_READ);
    } else if (lacks) {
        struct timeval pause = {0, static_cast<long>(pause_us)};
        if (event_add_nolock_(&self->tells, &pause, 0) != 0) // no memory: the pause is waited for by turns
            event_active_later_nolock_(&self->tells, EV_READ);
    }
}

void listener_free_memory(evpipelistener *self)
{
    event_debug_unassign(&self->tells);
    sys::security_free(self->security);
    mm_free(self);
}

void listener_tells(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<evpipelistener *>(argument);
    base_locked held(self->owner->base);
    self->tells_now = true;
    if (self->enabled && backend_now_us(self->owner) >= self->pause_until_us)
        listener_fill(self);
    listener_tell_of_clients(self);
    listener_tell_of_error(self);
    self->tells_now = false;
    if (self->freed)
        listener_free_memory(self);
    else
        listener_goes_on(self);
}

// --- its life -------------------------------------------------------------------------------------------------------

void listener_free_instances(pipe_instance_list *list)
{
    while (!TAILQ_EMPTY(list)) {
        pipe_instance *instance = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, instance, listed);
        pipe_instance_free(instance);
    }
}

// The name is to be free, so it is not left to packets of later turns; the last ones free what does not end now.
void listener_let_go_of_instances(evpipelistener *self)
{
    pipe_instance *instance;
    TAILQ_FOREACH (instance, &self->waiting, listed)
        completion_cancel(&instance->operation);
    while ((instance = TAILQ_FIRST(&self->waiting)) != nullptr)
        if (!port_await(self->owner->port, &instance->operation)) {
            TAILQ_REMOVE(&self->waiting, instance, listed);
            completion_disown(&instance->operation);
        }
    listener_free_instances(&self->idle);
    listener_free_instances(&self->with_client);
}

evpipelistener *listener_new(backend *on, const pipe_path &path, int instances, evpipelistener_cb cb, void *arg)
{
    auto *self = static_cast<evpipelistener *>(mm_calloc(1, sizeof(evpipelistener)));
    if (self == nullptr)
        return nullptr;
    self->owner = on;
    self->path = path;
    self->wanted = instances != 0 ? static_cast<unsigned>(instances) : EVPIPELISTENER_IOCP_DEFAULT_INSTANCES;
    self->cb = cb;
    self->arg = arg;
    TAILQ_INIT(&self->idle);
    TAILQ_INIT(&self->waiting);
    TAILQ_INIT(&self->with_client);
    event_assign(&self->tells, on->base, -1, 0, listener_tells, self);
    return self;
}

// The first instance has the name, or there is no listener. Any other can come later.
int listener_open(evpipelistener *self)
{
    base_locked held(self->owner->base);
    self->enabled = true;
    int error = listener_start_another(self, true);
    if (error != 0) {
        event_del_nolock_(&self->tells, EVENT_DEL_NOBLOCK);
        listener_let_go_of_instances(self);
        return error;
    }
    base_add_virtual(self->owner->base);
    listener_fill(self);
    if (self->error != 0)
        listener_tells_soon(self);
    return 0;
}

evpipelistener *listener_fail(int error)
{
    WSASetLastError(error);
    return nullptr;
}

} // namespace

extern "C" {

struct evpipelistener *evpipelistener_iocp_new(struct event_base *base, const char *name, int instances, void *security,
                                               evpipelistener_cb cb, void *arg)
{
    backend *on = base != nullptr ? backend_of(base) : nullptr;
    pipe_path path;
    if (on == nullptr)
        return listener_fail(WSAEOPNOTSUPP);
    if (instances < 0 || instances > EVPIPELISTENER_IOCP_MAX_INSTANCES || cb == nullptr)
        return listener_fail(WSAEINVAL);
    int error = pipe_path_from(name, &path);
    if (error != 0)
        return listener_fail(error);
    evpipelistener *self = listener_new(on, path, instances, cb, arg);
    if (self == nullptr)
        return listener_fail(WSAENOBUFS);
    error = sys::security_copy(security, &self->security);
    if (error == 0)
        error = listener_open(self);
    if (error == 0)
        return self;
    listener_free_memory(self);
    return listener_fail(error);
}

void evpipelistener_iocp_free(struct evpipelistener *self)
{
    evpipelistener_iocp_disable(self); // and then waits for a callback
    base_locked held(self->owner->base);
    listener_let_go_of_instances(self);
    self->freed = true;
    if (!self->tells_now) // else by its own callback, behind which the rest is done
        listener_free_memory(self);
}

int evpipelistener_iocp_enable(struct evpipelistener *self)
{
    base_locked held(self->owner->base);
    if (self->enabled)
        return 0;
    self->enabled = true;
    base_add_virtual(self->owner->base);
    listener_tells_soon(self);
    return 0;
}

int evpipelistener_iocp_disable(struct evpipelistener *self)
{
    {
        base_locked held(self->owner->base);
        if (self->enabled)
            base_del_virtual(self->owner->base);
        self->enabled = false;
    }
    return event_del(&self->tells);
}

void evpipelistener_iocp_set_error_cb(struct evpipelistener *self, evpipelistener_errorcb cb)
{
    base_locked held(self->owner->base);
    self->error_cb = cb;
}

struct event_base *evpipelistener_iocp_get_base(struct evpipelistener *self)
{
    return self->owner->base;
}
}
