/* A base inside somebody else's loop: a window's message loop, another library's. Plain C. Included by event2/iocp.h.
 *
 * The base's loop runs as event_base_loop runs it, but where it would wait it returns, and the outer loop waits in its
 * place: for the base's handle, among whatever else it waits for, and for no longer than it was told.
 *
 *     HANDLE handle = event_base_iocp_get_handle(base);
 *     DWORD wait_ms;
 *     while (event_base_iocp_run(base, 0, &wait_ms) > 0) {
 *         MsgWaitForMultipleObjectsEx(1, &handle, wait_ms, QS_ALLINPUT, MWMO_INPUTAVAILABLE);
 *         ...the outer loop's own work...
 *     }
 *
 * Such a run of the loop begins with the first call of event_base_iocp_run and lasts, over many calls, until one returns
 * something other than 1, event_base_iocp_end_run is called, or the base is freed, all of which may be done in the outer
 * loop at any time. For all that time the loop counts as running in the thread that called, also while the outer loop
 * has the thread: event_base_loop must not be called (it warns and returns -1), another thread's event_add, event_active,
 * bufferevent_write or event_base_loopbreak makes the handle signalled, and event_base_loopbreak from the outer loop ends
 * the run. What that thread itself does to the base between two calls is seen by the next one: call it before each
 * wait. */
#ifndef EVENT2_IOCP_EMBED_H_INCLUDED_
#define EVENT2_IOCP_EMBED_H_INCLUDED_

#include "event2/visibility.h"

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;

/* The turns of its loop that a base makes in one call, at the most, before the outer loop has its own. */
#define EVENT_IOCP_MAX_TURNS_A_RUN 16

/* A HANDLE for a thread that waits for it alone, or for any of several: WaitForSingleObject, WaitForMultipleObjects
 * unless for all, MsgWaitForMultipleObjects. A thread pool must not: see event_base_iocp_get_event, which is for every
 * other wait.
 *
 * It is signalled, and stays so, while there is something for the base to take, or another thread has asked
 * something of it, since event_base_iocp_run has returned 1; otherwise its state means nothing. It is the same for the life
 * of the base and is the base's: not to be closed, reset, or used after event_base_free. Nobody but the base takes
 * packets from it.
 *
 * It is the handle of the base's completion port, where a wait for one works: Microsoft's list of what can be waited for
 * does not name it, so that it is tried once a process, on a port made for that: in the first call of this function, which
 * may take two seconds where it does not work. There, or with EVENT_IOCP_NO_PORT_WAIT=1 in the environment, or once
 * event_base_iocp_get_event has been called for the base, it is that function's event.
 *
 * May be called at any time in any thread, provided that locking is on if there are several.
 *
 * Returns NULL with the socket error set:
 *   WSAEOPNOTSUPP  the base is NULL or not on a port
 *   WSAENOBUFS     no memory, or Windows has no thread or event to give */
EVENT2_EXPORT_SYMBOL
void *event_base_iocp_get_handle(struct event_base *base);

/* An event for any wait at all: a thread pool's (RegisterWaitForSingleObject, SetThreadpoolWait) and so libuv's, and one for
 * all of several. Since Windows 8 a pool's wait for a completion port raises STATUS_THREADPOOL_HANDLE_EXCEPTION
 * (0xC000070A), as Microsoft documents it for a mutex, and the process ends.
 *
 * What is said above of when the handle is signalled, and whose it is, holds of the event; it is of manual reset, and set at
 * first. A thread of the library sets it, which watches the port while the outer loop has the thread: that costs two events
 * set and two waits more for each sleep of the outer loop. The thread begins with the first call for the base and ends with
 * event_base_free.
 *
 * Whichever of the two functions is called first decides for the base.
 *
 * May be called at any time in any thread, provided that locking is on if there are several.
 *
 * Returns NULL with the socket error set:
 *   WSAEOPNOTSUPP  the base is NULL or not on a port
 *   WSAEALREADY    event_base_iocp_get_handle has given out the base's port
 *   WSAENOBUFS     no memory, or Windows has no thread or event to give */
EVENT2_EXPORT_SYMBOL
void *event_base_iocp_get_event(struct event_base *base);

/* Runs what is due, callbacks and all, for EVENT_IOCP_MAX_TURNS_A_RUN turns at the most, and leaves the base ready to be
 * waited for: what it waits for has been asked of the kernel.
 *
 * `flags`: 0, or EVLOOP_NO_EXIT_ON_EMPTY to go on without any event.
 * `wait_ms`: how long the outer loop may wait for the handle, a DWORD of milliseconds as Windows' waits take it: to the
 * base's next timer, rounded up; INFINITE if there is none; 0 if the base has more to do already, and has only left the
 * outer loop its chance. Any earlier call is right, too, and costs a look at the port.
 *
 * While the outer loop waits, or works, the base is told to be asleep: of bases that share a listening socket it gets its
 * part of the connections, which wait for the outer loop then.
 *
 * To be called in one thread for one run, and not from a callback of the same base.
 *
 * Returns, and *wait_ms is set only in the first case:
 *    1  the run goes on: wait, then call again
 *    0  it is over as event_base_loop would be: no events are left, or a loopexit or loopbreak was asked for, also
 *       between two calls (event_base_got_exit and event_base_got_break tell). Another call begins a new one.
 *   -1  with the socket error set:
 *         WSAEOPNOTSUPP   the base is NULL or not on a port
 *         WSAEINVAL       other flags, or `wait_ms` is NULL
 *         WSAEINPROGRESS  the base's loop runs: this is one of its callbacks, or the run belongs to another thread, which
 *                         goes on with it
 *         else            the port has failed, and the run is over */
EVENT2_EXPORT_SYMBOL
int event_base_iocp_run(struct event_base *base, int flags, unsigned long *wait_ms);

/* Ends a run between two calls, so that event_base_loop can be called, or a run begun in another thread. Nothing is lost:
 * what is due then is done by the next loop. Nothing, if there is no run.
 *
 * May be called in any thread, provided that locking is on and that the run's own thread does not call meanwhile.
 *
 * Returns 0, or -1 with the socket error set:
 *   WSAEOPNOTSUPP   the base is NULL or not on a port
 *   WSAEINPROGRESS  the base's loop runs at this moment: event_base_loopbreak ends it */
EVENT2_EXPORT_SYMBOL
int event_base_iocp_end_run(struct event_base *base);

#ifdef __cplusplus
}
#endif

#endif
