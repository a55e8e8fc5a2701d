// What the tests on the real kernel (that of Windows, or Wine) share: one base, sockets, and a loop with a deadline.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_BASE_H
#define LIBEVENT_IOCP_REGRESS_REAL_BASE_H

#include "support/check.h"

#include "compat/libevent.h"

namespace real {

constexpr long deadline_seconds = 20; // a refused connect takes two on Windows

extern struct event_base *base;
extern int callbacks;
extern short last_what;

int set_up(void **);
int tear_down(void **);
// Before the first test.
void start();

void out_of_time(evutil_socket_t, short, void *);
// Runs the loop until something breaks it. False: the deadline did.
bool run_loop();
// One more turn, without waiting.
int look();
// Such turns until that holds. False: the deadline came first.
template <class Condition> bool look_until(Condition condition)
{
    for (ULONGLONG end = GetTickCount64() + deadline_seconds * 1000; !condition() && GetTickCount64() < end;)
        look();
    return condition();
}

void count_and_break(evutil_socket_t, short what, void *);
void count_only(evutil_socket_t, short what, void *counter);

evutil_socket_t bound(int type, struct sockaddr_in *address);
void make_pair(evutil_socket_t pair[2]);
void close_pair(const evutil_socket_t pair[2]);
struct event *add(evutil_socket_t fd, short what, event_callback_fn callback, void *argument);

} // namespace real

#endif
