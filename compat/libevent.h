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

// A base's lock, held to the end of the scope; not taken if there is no base. Recursive, as libevent's are.
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
    explicit base_unlocked(struct event_base *of) : base(of) { EVBASE_RELEASE_LOCK(base, th_base_lock); }
    ~base_unlocked() { EVBASE_ACQUIRE_LOCK(base, th_base_lock); }
    base_unlocked(const base_unlocked &) = delete;
    base_unlocked &operator=(const base_unlocked &) = delete;

private:
    [[maybe_unused]] struct event_base *base; // libevent may be built without locks
};

} // namespace iocp

// A packet's OVERLAPPED is cast to the record that holds it, by libevent and by us.
static_assert(offsetof(struct event_overlapped, overlapped) == 0, "OVERLAPPED must come first");

#endif
