// A connected socket that goes from a bufferevent of one base to one of another, on the fake kernel.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_MOVED_SOCKET_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_MOVED_SOCKET_H

#include <string>

#include "support/fake_sys.h"

#include "compat/libevent.h"

namespace iocp {

// Made and freed for each test; who frees the first sets it to NULL.
extern struct event_base *first, *second;
int set_up_two_bases(void **);
int tear_down_two_bases(void **);

// What bufferevents by `on`, or with `hear`, have read, and were told last.
extern std::string heard;
extern short ended;
void hear(struct bufferevent *bev);
struct bufferevent *on(struct event_base *whose, SOCKET socket, int options);
void turns(struct event_base *whose, int count);

// Its bufferevent has gone, and "kept" was received for it. NULL: nothing is in flight.
SOCKET taken_from_the_first(const char *in_flight = nullptr);
// It was closed with that in flight, as that base knows.
void check_closed_when_sent(struct event_base *whose, SOCKET socket, const char *sent);

} // namespace iocp

#endif
