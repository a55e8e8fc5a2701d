// The one place that includes libevent's internal headers, and the assumptions about them that we rely on.
#ifndef LIBEVENT_IOCP_COMPAT_LIBEVENT_H
#define LIBEVENT_IOCP_COMPAT_LIBEVENT_H

#include "compat/win.h"

// libevent's internal headers expect both configuration headers first, and event2/buffer.h and
// event2/bufferevent.h before bufferevent-internal.h.
#include "event2/event-config.h"

#include "evconfig-private.h"

extern "C" {
#include "event2/event.h"

#include "event2/event_struct.h"

#include "event2/buffer.h"
#include "event2/buffer_compat.h"
#include "event2/bufferevent.h"
#include "event2/bufferevent_struct.h"
#include "event2/listener.h"
#include "event2/thread.h"
#include "event2/util.h"

#include "bufferevent-internal.h"
#include "evbuffer-internal.h"
#include "event-internal.h"
#include "evmap-internal.h"
#include "evsignal-internal.h"
#include "evthread-internal.h"
#include "iocp-internal.h"
#include "log-internal.h"
#include "mm-internal.h"
#include "util-internal.h"
}

#include <stddef.h>

namespace iocp {

// mm_free of what may be nothing: a program's own function (event_set_mem_functions) need not take NULL.
inline void free_if_any(void *memory)
{
    if (memory != nullptr)
        mm_free(memory);
}

// A base's lock, held to the end of the scope; not taken if there is no base. It is not recursive, though Windows' own
// (evthread_use_windows_threads) let a thread take it twice: who holds it calls those of libevent's functions that end
// in _nolock_, and base_add_virtual and base_del_virtual below.
class base_locked {
public:
    explicit base_locked(struct event_base *of) : base(of)
    {
        if (base != nullptr)
            EVBASE_ACQUIRE_LOCK(base, th_base_lock);
    }
    ~base_locked()
    {
        if (base != nullptr)
            EVBASE_RELEASE_LOCK(base, th_base_lock);
    }
    base_locked(const base_locked &) = delete;
    base_locked &operator=(const base_locked &) = delete;

private:
    struct event_base *base;
};

// The same, let go of for the scope.
class base_unlocked {
public:
    explicit base_unlocked(struct event_base *of) : base(of)
    {
        if (base != nullptr)
            EVBASE_RELEASE_LOCK(base, th_base_lock);
    }
    ~base_unlocked()
    {
        if (base != nullptr)
            EVBASE_ACQUIRE_LOCK(base, th_base_lock);
    }
    base_unlocked(const base_unlocked &) = delete;
    base_unlocked &operator=(const base_unlocked &) = delete;

private:
    struct event_base *base;
};

// With the lock held: the packet by which the loop in another thread looks at its base anew, unless one is on its way.
inline void base_wake(struct event_base *base)
{
    if (base->is_notify_pending)
        return;
    base->is_notify_pending = 1;
    base->th_notify_fn(base);
}

// As event_base_add_virtual_ and event_base_del_virtual_, which take the lock: with it held.
inline void base_add_virtual(struct event_base *base)
{
    int count = ++base->virtual_event_count;
    if (base->virtual_event_count_max < count)
        base->virtual_event_count_max = count;
}

inline void base_del_virtual(struct event_base *base)
{
    EVUTIL_ASSERT(base->virtual_event_count > 0);
    bool was_last = --base->virtual_event_count == 0;
    if (was_last && EVBASE_NEED_NOTIFY(base))
        base_wake(base); // it may end for want of events
}

} // namespace iocp

// A packet's OVERLAPPED is cast to the record that holds it, by libevent and by us.
static_assert(offsetof(struct event_overlapped, overlapped) == 0, "OVERLAPPED must come first");

#endif
