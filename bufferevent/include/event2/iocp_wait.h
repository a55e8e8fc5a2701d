/* Waitable handles on a base's I/O completion port. Plain C, and a part of event2/iocp.h. HANDLE is `void *` here, so that
 * no windows.h is needed. */
#ifndef EVENT2_IOCP_WAIT_H_INCLUDED_
#define EVENT2_IOCP_WAIT_H_INCLUDED_

#include "event2/util.h"
#include "event2/visibility.h"

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct timeval;

/* Calls back in a base's loop when a HANDLE is signalled that Windows can wait for: a process or thread that ends, an
 * event, a semaphore, a waitable timer, a console's input, a job object. It is to such a handle what an event is to a
 * socket: it is added and deleted, has a timeout and a priority, and runs among the base's other callbacks.
 *
 * Windows itself waits, by what WaitForSingleObject would do: who waits consumes an auto-reset event's signal, and takes
 * one from a semaphore's count. From Windows 8 on that costs no thread; before, and under Wine, one of the threads that
 * Windows keeps for RegisterWaitForSingleObject waits for 63 handles, and runs no code of the program. */
struct evwait;

/* `handle`: the caller's, as given to evwait_iocp_new. `what`: EV_READ, it was signalled; EV_TIMEOUT, it was not in time;
 * both, if these came together; or EV_CLOSED alone: it cannot be waited for any more (Windows refused, and not for want
 * of memory), and the wait is deleted.
 *
 * It may call anything, the functions below for its own wait included. */
typedef void (*evwait_iocp_cb)(void *handle, short what, void *arg);

/* A wait for `handle`, not yet added.
 *
 * `handle`: needs the SYNCHRONIZE right, and stays the caller's. The wait has a duplicate of its own, which keeps the
 * object alive (of a process: what its exit code is asked of) until evwait_iocp_free; the caller may close his at any
 * time.
 * `events`: EV_PERSIST, or 0. A persistent wait begins anew when its callback has returned: each signal of an auto-reset
 * object calls back once, and an object that stays signalled calls back once in a turn of the loop, amid the others. Any
 * other ends with its callback, until it is added again. EV_READ may be given, too, and means nothing.
 *
 * A mutex is refused: waiting would make a thread its owner that does not exist for the program. So is a completion
 * port, which Windows 8 and later lets nobody wait for in this way: what event_base_iocp_get_event gives can be waited for
 * (event2/iocp_embed.h).
 *
 * May be called at any time in any thread, provided that locking is on (evthread_use_windows_threads) if there are
 * several; so may all below.
 *
 * Returns NULL with the socket error set:
 *   WSAEOPNOTSUPP            the base is not on a port, or is being freed
 *   WSAEINVAL                `events` has another bit, or there is no `cb`
 *   WSAENOBUFS               there is no memory
 *   ERROR_INVALID_HANDLE     `handle` is NULL, closed, or of a kind that cannot be waited for; or it is one of the numbers
 *                            that stand for the calling process or thread (INVALID_HANDLE_VALUE is one of these)
 *   ERROR_ACCESS_DENIED      it lacks SYNCHRONIZE
 *   ERROR_INVALID_PARAMETER  it is a mutex's or a completion port's */
EVENT2_EXPORT_SYMBOL
struct evwait *evwait_iocp_new(struct event_base *base, void *handle, short events, evwait_iocp_cb cb, void *arg);

/* Begins to wait. `timeout`: for how long, as event_add has it (of a persistent wait: after each callback anew); copied;
 * NULL for ever. A wait that is added already gets the new timeout, unless that is NULL. While it is added, the base has
 * something to wait for, and event_base_dispatch does not return for want of events.
 *
 * Returns 0, or -1 with the socket error set, and the wait is not added: WSAENOBUFS, WSAEINVAL if its base was freed,
 * or what Windows says. */
EVENT2_EXPORT_SYMBOL
int evwait_iocp_add(struct evwait *wait, const struct timeval *timeout);

/* Ends the wait. When it has returned, no callback comes, and none runs: called from another thread than the loop's, it
 * waits for one that is under way, as event_del does, and so no lock may be held meanwhile that the callback needs. A
 * signal that came before, and was not told, may have been consumed. Returns 0; a wait that is not added is left as it
 * is. */
EVENT2_EXPORT_SYMBOL
int evwait_iocp_del(struct evwait *wait);

/* Whether it is added, or its callback is due. */
EVENT2_EXPORT_SYMBOL
int evwait_iocp_pending(const struct evwait *wait);

/* The priority of its callback, as event_priority_set has it: 0; or -1, and no socket error is set, if there is none
 * such, the callback is due, or the base was freed. */
EVENT2_EXPORT_SYMBOL
int evwait_iocp_priority_set(struct evwait *wait, int priority);

/* Deletes it as evwait_iocp_del does, and frees it. NULL does nothing. If its base is freed first, that deletes the wait,
 * which can then not be added any more, and is still to be freed by this. */
EVENT2_EXPORT_SYMBOL
void evwait_iocp_free(struct evwait *wait);

#ifdef __cplusplus
}
#endif

#endif
