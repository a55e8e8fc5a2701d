// A base inside another loop, on the fake kernel: what its tests share.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_OUTER_LOOP_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_OUTER_LOOP_H

#include "support/check.h"

#include "support/bases.h"
#include "support/fake_embed.h"

#include "event2/iocp.h"

namespace iocp {
namespace outer {

extern struct event_base *base;
extern HANDLE handle;
extern DWORD wait_ms; // of the last call
extern int wakes, time_outs;

constexpr DWORD not_set = 4711; // what wait_ms is before a call

int set_up(void **);
// `base` may be NULL by then.
int tear_down(void **);
int run(int flags = 0);
// Runs until it sleeps, and would for long.
int run_until_asleep(int flags = 0);
// The outer loop waits as it was told.
void sleep();
// What another thread does at that time.
void elsewhere_at(int64_t time_us, std::function<void()> action);
// A timer, if a delay is given.
counted *add_event(short what, int64_t delay_us = -1);
struct bufferevent *open_echo(SOCKET *socket);
// A test program's main: once with a wait for the port, and once with a thread pool's for the event.
int run_both_ways(int (*run_group)());

} // namespace outer
} // namespace iocp

#endif
