// What another thread may do when the loop lets go of its base's lock before a callback.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_MEANWHILE_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_MEANWHILE_H

struct event_base;

namespace iocp {

// Locks are on from here, and the loop's can be seen.
void meanwhile_start();
// Before the next callback, once.
void meanwhile_do(struct event_base *base, void (*action)());
bool meanwhile_done();

// An action's: takes and delivers what the port has, as port_await does in a thread beside the loop.
void meanwhile_take_packets(struct event_base *base);

} // namespace iocp

#endif
