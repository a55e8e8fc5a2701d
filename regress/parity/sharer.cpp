#include "sharer.h"

namespace parity {

namespace {

constexpr int max_failures = 100;

void complain(shared_socket *on, const char *text)
{
    AcquireSRWLockExclusive(&on->lock);
    on->wrong += text;
    ReleaseSRWLockExclusive(&on->lock);
}

void close_listener(shared_listener *self)
{
    if (self->listener == nullptr || self->is_owner)
        return;
    struct evconnlistener *freed = self->listener;
    self->listener = nullptr;
    if (self->enabled)
        --self->of->open;
    self->enabled = false;
    --self->of->on->listeners;
    evconnlistener_free(freed);
}

void enable_listener(shared_listener *self, bool enabled)
{
    if (self->listener == nullptr || self->enabled == enabled || self->is_owner)
        return;
    self->enabled = enabled;
    if ((enabled ? evconnlistener_enable : evconnlistener_disable)(self->listener) != 0)
        complain(self->of->on, " cannot enable or disable;");
    self->of->open += enabled ? 1 : -1;
}

// In a thread of its own; otherwise it is not turned.
void stand_still(sharer *self)
{
    self->stands_still = true;
    SetEvent(self->on->news);
    if (self->thread == nullptr)
        return;
    HANDLE ends[] = {self->go_on, self->on->the_end};
    WaitForMultipleObjects(2, ends, FALSE, INFINITE);
    self->stands_still = false;
}

void reach_hook(shared_listener *self)
{
    hook_of_listener reached = self->hook;
    self->hook = hook_of_listener::none;
    switch (reached) {
    case hook_of_listener::disables:
        enable_listener(self, false);
        break;
    case hook_of_listener::frees:
        close_listener(self);
        break;
    case hook_of_listener::frees_the_other:
        for (shared_listener &each : self->of->listeners)
            if (&each != self)
                close_listener(&each);
        break;
    case hook_of_listener::stands_still:
        stand_still(self->of);
        break;
    default:
        break;
    }
}

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *address, int, void *argument)
{
    auto *self = static_cast<shared_listener *>(argument);
    shared_socket *on = self->of->on;
    auto accepted = static_cast<SOCKET>(fd);
    if (GetCurrentThreadId() != self->of->loop_thread)
        complain(on, " not the loop's thread;");
    if (!self->enabled)
        complain(on, " accepted after disable or free;");
    int port = ntohs(reinterpret_cast<struct sockaddr_in *>(address)->sin_port);
    any_address name = {{}, static_cast<int>(sizeof(name.storage))};
    if (getpeername(accepted, name.get(), &name.length) != 0 || name.port() != port)
        complain(on, " wrong peer name;");
    if (send(accepted, "!", 1, 0) != 1)
        complain(on, " cannot send;");
    evutil_closesocket(fd);
    AcquireSRWLockExclusive(&on->lock);
    on->accepted.push_back(port);
    ReleaseSRWLockExclusive(&on->lock);
    reach_hook(self);
    SetEvent(on->news);
}

void open_listener(sharer *self, bool disabled)
{
    for (shared_listener &each : self->listeners) {
        if (each.listener != nullptr)
            continue;
        unsigned flags = (disabled ? LEV_OPT_DISABLED : 0u) | (self->has_locks ? LEV_OPT_THREADSAFE : 0u);
        each.of = self;
        each.is_owner = self->owns && &each == &self->listeners[0];
        flags |= each.is_owner ? LEV_OPT_CLOSE_ON_FREE : 0u;
        each.hook = hook_of_listener::none;
        each.listener = evconnlistener_new(self->base, on_accept, &each, flags, 0,
                                           static_cast<evutil_socket_t>(self->on->listening));
        if (each.listener == nullptr) {
            complain(self->on, " no listener;");
            return;
        }
        each.enabled = !disabled;
        ++self->on->listeners;
        self->open += !disabled;
        return;
    }
}

void leave(sharer *self)
{
    if (self->base == nullptr)
        return;
    for (shared_listener &each : self->listeners) {
        each.is_owner = false;
        close_listener(&each);
    }
    if (self->bell != nullptr)
        event_free(self->bell);
    self->bell = nullptr;
    event_base_free(self->base);
    self->base = nullptr;
    self->left = true;
}

void carry_out(sharer *self, const operation &what)
{
    if (self->base == nullptr)
        return;
    shared_listener *one = &self->listeners[what.a % listeners_each];
    switch (what.kind) {
    case op_kind::share_listen:
        open_listener(self, what.a != 0);
        break;
    case op_kind::share_enable:
        enable_listener(one, what.b != 0);
        break;
    case op_kind::share_free:
        close_listener(one);
        break;
    case op_kind::share_hook:
        one->hook = static_cast<hook_of_listener>(what.b);
        break;
    case op_kind::share_stand_still:
        stand_still(self);
        break;
    default: // share_leave
        if (self->thread != nullptr)
            self->leaves = true, event_base_loopbreak(self->base);
        else
            leave(self);
        break;
    }
}

bool take_told(sharer *self, operation *into)
{
    AcquireSRWLockExclusive(&self->on->lock);
    bool any = !self->told.empty();
    if (any) {
        *into = self->told.front();
        self->told.pop_front();
    }
    ReleaseSRWLockExclusive(&self->on->lock);
    return any;
}

void on_bell(evutil_socket_t, short what, void *argument)
{
    auto *self = static_cast<sharer *>(argument);
    char rung[64];
    if ((what & EV_READ) != 0 && !self->has_locks)
        recv(self->bell_line.near_end, rung, sizeof(rung), 0);
    for (operation next; take_told(self, &next);) {
        carry_out(self, next);
        --self->untold;
        SetEvent(self->on->news);
        if (next.kind == op_kind::share_leave)
            break;
    }
}

DWORD WINAPI work(void *argument)
{
    auto *self = static_cast<sharer *>(argument);
    self->loop_thread = GetCurrentThreadId();
    // Wine's select fails now and then with WSA_OPERATION_ABORTED when others use one of its sockets, and libevent's
    // loop ends; that is no matter of ours.
    int failures = 0;
    while (event_base_loop(self->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0 && !self->leaves && ++failures < max_failures)
        continue;
    if (failures == max_failures || (failures != 0 && self->is_on_port))
        complain(self->on, " the loop fails;");
    leave(self);
    SetEvent(self->on->news);
    return 0;
}

bool hang_bell(sharer *self)
{
    self->bell_line.near_end = self->bell_line.far_end = INVALID_SOCKET;
    if (!self->has_locks && !connection_make(&self->bell_line, 0))
        return false;
    evutil_socket_t fd = self->has_locks ? -1 : static_cast<evutil_socket_t>(self->bell_line.near_end);
    self->bell = event_new(self->base, fd, EV_READ | EV_PERSIST, on_bell, self);
    return self->bell != nullptr && event_add(self->bell, nullptr) == 0;
}

} // namespace

bool sharer_start(sharer *self, shared_socket *on, const script &of, base_kind kind)
{
    self->on = on;
    self->has_locks = of.locks;
    self->is_on_port = kind == base_kind::iocp;
    self->base = new_base(kind, of.locks, 1);
    self->loop_thread = GetCurrentThreadId();
    self->go_on = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    if (self->base == nullptr || self->go_on == nullptr)
        return false;
    if (!of.threads)
        return true;
    if (!hang_bell(self))
        return false;
    self->thread = CreateThread(nullptr, 0, work, self, CREATE_SUSPENDED, nullptr);
    return self->thread != nullptr && ResumeThread(self->thread) != static_cast<DWORD>(-1);
}

void sharer_tell(sharer *self, const operation &what)
{
    if (self->thread == nullptr) {
        carry_out(self, what);
        return;
    }
    if (self->told_to_leave)
        return;
    self->told_to_leave = what.kind == op_kind::share_leave; // and the bell is its thread's to take down
    ++self->untold;
    AcquireSRWLockExclusive(&self->on->lock); // it does not leave before the bell has been rung
    self->told.push_back(what);
    if (self->has_locks)
        event_active(self->bell, EV_READ, 0);
    else
        send(self->bell_line.far_end, "?", 1, 0);
    ReleaseSRWLockExclusive(&self->on->lock);
}

void sharer_resume(sharer *self)
{
    if (!self->stands_still)
        return;
    self->stands_still = false;
    SetEvent(self->go_on);
}

bool sharer_has_done_all(const sharer *self)
{
    return self->stands_still || self->left || self->untold == 0;
}

bool sharer_could_accept(const sharer *self)
{
    return !self->stands_still && self->open > 0;
}

bool sharer_end(sharer *self, DWORD patience_ms)
{
    if (self->thread != nullptr && WaitForSingleObject(self->thread, patience_ms) != WAIT_OBJECT_0)
        return false;
    if (self->thread != nullptr)
        CloseHandle(self->thread);
    else
        leave(self);
    CloseHandle(self->go_on);
    if (self->thread != nullptr && !self->has_locks) {
        closesocket(self->bell_line.near_end);
        closesocket(self->bell_line.far_end);
    }
    return true;
}

} // namespace parity
