#include "support/meanwhile.h"
#include "support/check.h"
#include "support/fake_sys.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

namespace iocp {

namespace {

int (*lock_really)(unsigned, void *);
int (*unlock_really)(unsigned, void *);
struct event_base *watched;
bool (*may_do)();
void (*to_do)();
int held;         // how often, since something is to be done
bool comes_first; // before the lock is taken, rather than when it is let go of

bool is_watched(const void *lock)
{
    return lock == evthread_debug_get_real_lock_(watched->th_base_lock);
}

void do_if_it_may()
{
    if (held != 0 || !may_do())
        return;
    void (*action)() = to_do;
    to_do = nullptr;
    action();
}

int lock_and_count(unsigned mode, void *lock)
{
    if (to_do != nullptr && comes_first && is_watched(lock))
        do_if_it_may();
    int result = lock_really(mode, lock);
    if (result == 0 && to_do != nullptr && is_watched(lock))
        ++held;
    return result;
}

bool is_before_callback()
{
    return watched->current_event != nullptr;
}

int unlock_and_let_others(unsigned mode, void *lock)
{
    int result = unlock_really(mode, lock);
    if (to_do != nullptr && is_watched(lock) && --held == 0 && !comes_first)
        do_if_it_may();
    return result;
}

} // namespace

void meanwhile_start()
{
    strict_locks_start();
    struct evthread_lock_callbacks *locks = evthread_get_lock_callbacks();
    lock_really = locks->lock;
    unlock_really = locks->unlock;
    locks->lock = lock_and_count;
    locks->unlock = unlock_and_let_others;
}

void meanwhile_do(struct event_base *base, void (*action)())
{
    meanwhile_do_when(base, is_before_callback, action);
}

void meanwhile_do_when(struct event_base *base, bool (*may)(), void (*action)())
{
    watched = base;
    may_do = may;
    to_do = action;
    held = 0;
    comes_first = false;
}

void meanwhile_do_first(struct event_base *base, bool (*may)(), void (*action)())
{
    meanwhile_do_when(base, may, action);
    comes_first = true;
}

bool meanwhile_done()
{
    return to_do == nullptr;
}

void meanwhile_take_packets(struct event_base *base)
{
    base_locked held(base);
    port *on = backend_of(base)->port;
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    fake::release_all();
    assert_int_equal(sys::port_dequeue(on->for_libevent.port, entries, max_packets, 0, sys::wait_kind::plain, &count),
                     0);
    port_deliver(on, entries, count);
}

} // namespace iocp
