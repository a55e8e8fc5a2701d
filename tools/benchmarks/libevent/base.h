// What the libevent rows share. The same objects are linked with libevent's libraries and with ours.
#ifndef LIBEVENT_IOCP_BENCH_LIBEVENT_BASE_H
#define LIBEVENT_IOCP_BENCH_LIBEVENT_BASE_H

#include "tools/benchmarks/common/bench.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

namespace bench {

// The base of the program; --port puts it on a completion port.
event_base *make_base(const scenario &);

// A bufferevent on a connected socket, which it closes, reading.
bufferevent *make_bufferevent(event_base *base, SOCKET socket, const scenario &what, bufferevent_data_cb on_read,
                              void *context);

// Any event on a connection that should live is a failure.
void on_unwanted_event(bufferevent *, short what, void *);

// Compares what has come so far and drops it; how many messages it completes.
int take_input(evbuffer *input, message_check *check);

work *set_up_pingpong(const scenario &);
work *set_up_bulk(const scenario &);
work *set_up_churn(const scenario &);
work *set_up_connects(const scenario &);
work *set_up_plain(const scenario &);
work *set_up_timers(const scenario &);
work *set_up_wakeup(const scenario &);
work *set_up_startup(const scenario &);
work *set_up_waiting(const scenario &);

} // namespace bench

#endif
