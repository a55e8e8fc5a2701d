// What another thread may do when this one lets go of a base's lock: the loop's before a callback, or who is in a call.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_MEANWHILE_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_MEANWHILE_H

struct event_base;

namespace iocp {

// Strict locks are on from here, and the loop's can be seen.
void meanwhile_start();
// Before the next callback, once.
void meanwhile_do(struct event_base *base, void (*action)());
// The same, as soon as nobody has the base's lock and `may` says so.
void meanwhile_do_when(struct event_base *base, bool (*may)(), void (*action)());
// The same, where this thread is about to take the lock.
void meanwhile_do_first(struct event_base *base, bool (*may)(), void (*action)());
bool meanwhile_done();

// An action's: takes and delivers what the port has, as port_await does in a thread beside the loop.
void meanwhile_take_packets(struct event_base *base);

} // namespace iocp

#endif
