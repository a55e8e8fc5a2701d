// The fake kernel's objects that can be waited for, and who waits for them: a packet that posts itself, or a thread that
// posts when it gets to it. What satisfies a wait is consumed at once, whenever that is told.
#include "support/fake_kernel.h"

#include <algorithm>

namespace iocp {
namespace fake {

namespace {

std::shared_ptr<waitable> find_waitable(HANDLE handle)
{
    auto found = k().waitables.find(handle);
    return found != k().waitables.end() ? found->second : nullptr;
}

std::deque<waiting>::iterator find_wait(const sys::handle_wait *memory)
{
    return std::find_if(k().handle_waits.begin(), k().handle_waits.end(),
                        [memory](const waiting &each) { return each.memory == memory; });
}

HANDLE put_handle(const std::shared_ptr<waitable> &object)
{
    HANDLE handle = new_handle();
    k().files[handle] = {};
    k().waitables[handle] = object;
    return handle;
}

// Its packet is queued: by the object, or by the thread that calls back.
void post_wait(std::deque<waiting>::iterator posting)
{
    operation &waited = k().operations.at(posting->overlapped);
    if (!is_port(waited.to.port)) {
        complain("a wait ends on a port that is closed");
        return;
    }
    if (posting->memory->packet == nullptr)
        posting->memory->posted = true;
    k().handle_waits.erase(posting);
    end_operation(&waited, status_success, 0, 0);
}

// A mutex or a port. A registered wait for one works where there are no wait packets, but for what nobody wants.
int refuse_wait()
{
    if (!k().has_wait_packets)
        complain("a wait is registered for a mutex or a port");
    return ERROR_INVALID_PARAMETER;
}

} // namespace

void satisfy_waits()
{
    bool any = true;
    while (any) {
        any = false;
        for (auto it = k().handle_waits.begin(); it != k().handle_waits.end() && !any; ++it) {
            if (it->satisfied || it->object->count == 0)
                continue;
            any = it->satisfied = true;
            if (it->object->which != waitable_kind::manual)
                --it->object->count;
            k().operations.at(it->overlapped).file = nullptr; // the handle is not looked at any more
            if (it->memory->packet != nullptr || !k().hold_wait_threads)
                post_wait(it);
        }
    }
}

void start_waits()
{
    k().has_wait_packets = false; // as before Windows 8
}

void set_wait_packets(bool are_there)
{
    k().has_wait_packets = are_there;
}

void hold_wait_threads(bool hold)
{
    k().hold_wait_threads = hold;
    for (auto it = k().handle_waits.begin(); !hold && it != k().handle_waits.end();) {
        if (!it->satisfied) {
            ++it;
            continue;
        }
        post_wait(it);
        it = k().handle_waits.begin();
    }
}

HANDLE open_waitable(waitable_kind which, bool signalled)
{
    auto object = std::make_shared<waitable>();
    object->which = which;
    object->count = signalled ? 1 : 0;
    return put_handle(object);
}

void signal(HANDLE handle)
{
    std::shared_ptr<waitable> object = find_waitable(handle);
    object->count = object->which == waitable_kind::semaphore ? object->count + 1 : 1;
    satisfy_waits();
}

void unsignal(HANDLE handle)
{
    find_waitable(handle)->count = 0;
}

bool is_signalled(HANDLE handle)
{
    return find_waitable(handle)->count != 0;
}

void close_waitable(HANDLE handle)
{
    k().files.erase(handle);
    k().waitables.erase(handle);
}

size_t waits_under_way()
{
    return static_cast<size_t>(std::count_if(k().handle_waits.begin(), k().handle_waits.end(),
                                             [](const waiting &each) { return !each.satisfied; }));
}

} // namespace fake

namespace sys {

using namespace fake;

int wait_duplicate(HANDLE given, HANDLE *own)
{
    int error = enter(call::wait_duplicate);
    if (error != 0)
        return error;
    if (is_port(given))
        return ERROR_INVALID_PARAMETER;
    std::shared_ptr<waitable> object = find_waitable(given);
    if (object == nullptr)
        return ERROR_INVALID_HANDLE;
    if (object->which == waitable_kind::mutex)
        return ERROR_INVALID_PARAMETER;
    if (object->which == waitable_kind::no_rights)
        return ERROR_ACCESS_DENIED;
    *own = put_handle(object);
    return 0;
}

int wait_start(handle_wait *self, HANDLE handle, HANDLE port, ULONG_PTR key, OVERLAPPED *overlapped)
{
    int error = enter(call::wait_start);
    if (error != 0)
        return error;
    std::shared_ptr<waitable> object = find_waitable(handle);
    if (is_port(handle) || (object != nullptr && object->which == waitable_kind::mutex))
        return refuse_wait();
    if (object == nullptr) {
        complain("a wait for a handle that is closed");
        return ERROR_INVALID_HANDLE;
    }
    if (self->registration != nullptr)
        complain("a wait is started whose registration was not given back");
    self->port = port;
    self->key = key;
    self->overlapped = overlapped;
    self->posted = false;
    HANDLE *thing = k().has_wait_packets ? &self->packet : &self->registration;
    if (*thing == nullptr) {
        *thing = new_handle();
        k().files[*thing] = {};
    }
    begin_operation(work::wait, handle, {port, key, false}, INVALID_SOCKET, overlapped);
    k().handle_waits.push_back({self, object, overlapped, false});
    satisfy_waits();
    return 0;
}

bool wait_stop(handle_wait *self)
{
    int error = enter(call::wait_stop);
    if (error != 0)
        complain("a wait cannot fail to be stopped");
    auto found = find_wait(self);
    if (found != k().handle_waits.end() && found->satisfied)
        post_wait(found); // who gives back the registration waits for the callback
    else if (found != k().handle_waits.end()) {
        k().operations.erase(found->overlapped);
        k().handle_waits.erase(found);
        wait_taken(self);
        return false;
    }
    wait_taken(self);
    return true;
}

void wait_taken(handle_wait *self)
{
    if (find_wait(self) != k().handle_waits.end())
        complain("a registration is given back before its packet has come");
    if (self->registration != nullptr)
        k().files.erase(self->registration);
    self->registration = nullptr;
}

void wait_close(handle_wait *self)
{
    if (self->registration != nullptr || find_wait(self) != k().handle_waits.end())
        complain("a wait is freed that is under way");
    if (self->packet != nullptr)
        close_handle(self->packet);
    self->packet = nullptr;
}

} // namespace sys
} // namespace iocp
