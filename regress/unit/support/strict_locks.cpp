#include "support/check.h"

#include "support/strict_locks.h"

#include "support/bases.h"

namespace iocp {

namespace {

int held;
void (*when_free)();

struct strict_lock {
    int count;
};

// Not by libevent's allocator, which tests count and let fail.
void *lock_alloc(unsigned)
{
    return calloc(1, sizeof(strict_lock));
}

void lock_free(void *lock, unsigned)
{
    if (static_cast<strict_lock *>(lock)->count != 0)
        fail_msg("a lock is freed while it is held");
    free(lock);
}

int lock_take(unsigned, void *lock)
{
    ++static_cast<strict_lock *>(lock)->count;
    ++held;
    return 0;
}

int lock_let_go(unsigned, void *lock)
{
    if (--static_cast<strict_lock *>(lock)->count < 0)
        fail_msg("a lock is let go of that is not held");
    --held;
    void (*next)() = held == 0 ? when_free : nullptr;
    if (next != nullptr) {
        when_free = nullptr;
        next();
    }
    return 0;
}

// An assertion of libevent's, or of ours. The log has it.
void on_fatal(int)
{
    fail_msg("%s", warnings().empty() ? "libevent gives up" : warnings().back().c_str());
}

} // namespace

void strict_locks_start()
{
    static bool started;
    if (started)
        return;
    started = true;
    // They say that they are recursive, and are asked for no other kind: it is the debugging that knows which are.
    static const struct evthread_lock_callbacks callbacks = {
        EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, lock_alloc, lock_free, lock_take, lock_let_go};
    if (evthread_set_lock_callbacks(&callbacks) != 0)
        fail_msg("there are other locks already");
    evthread_enable_lock_debugging();
    event_set_fatal_callback(on_fatal);
}

int strict_locks_held()
{
    return held;
}

void strict_locks_when_free(void (*action)())
{
    when_free = action;
}

} // namespace iocp
