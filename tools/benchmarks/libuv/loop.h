// What the libuv rows share.
#ifndef LIBEVENT_IOCP_BENCH_LIBUV_LOOP_H
#define LIBEVENT_IOCP_BENCH_LIBUV_LOOP_H

// libuv's header includes Windows's in an order of its own.
#include <uv.h>

#include "tools/benchmarks/common/bench.h"

namespace bench {

void check(int result, const char *what);

// Every read gets the same 64 KiB: what was read is used up or copied in the callback.
void static_buffer(uv_handle_t *, size_t, uv_buf_t *buffer);

// A stream on a connected socket, reading.
void open_stream(uv_loop_t *loop, uv_tcp_t *stream, SOCKET socket, uv_read_cb on_read, void *context);

// Sends back, or on, what lies in the static buffer: at once as far as that goes, the rest from a copy.
void send_bytes(uv_stream_t *stream, const char *data, size_t length);

work *set_up_pingpong(const scenario &);
work *set_up_pipes(const scenario &);
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
