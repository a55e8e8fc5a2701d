#include "tools/benchmarks/libuv/loop.h"

#include <stdlib.h>
#include <string.h>

namespace bench {

namespace {

constexpr size_t read_size = 64 * 1024;
char read_buffer[read_size];

struct copied_write {
    uv_write_t request; // first
    char bytes[1];
};

void on_copy_written(uv_write_t *request, int status)
{
    check(status, "uv_write");
    free(request);
}

} // namespace

const row rows[] = {
    {"pingpong", set_up_pingpong}, {"pipes", set_up_pipes},     {"bulk", set_up_bulk},     {"churn", set_up_churn},
    {"connects", set_up_connects}, {"plain", set_up_plain},     {"timers", set_up_timers}, {"wakeup", set_up_wakeup},
    {"startup", set_up_startup},   {"waiting", set_up_waiting}, {nullptr, nullptr},
};

const char *method(const scenario &)
{
    return "libuv";
}

void check(int result, const char *what)
{
    if (result < 0)
        fail(what, result);
}

void static_buffer(uv_handle_t *, size_t, uv_buf_t *buffer)
{
    *buffer = uv_buf_init(read_buffer, read_size);
}

void open_stream(uv_loop_t *loop, uv_tcp_t *stream, SOCKET socket, uv_read_cb on_read, void *context)
{
    check(uv_tcp_init(loop, stream), "uv_tcp_init");
    check(uv_tcp_open(stream, socket), "uv_tcp_open");
    stream->data = context;
    check(uv_read_start(reinterpret_cast<uv_stream_t *>(stream), static_buffer, on_read), "uv_read_start");
}

void send_bytes(uv_stream_t *stream, const char *data, size_t length)
{
    uv_buf_t buffer = uv_buf_init(const_cast<char *>(data), static_cast<unsigned>(length));
    int sent = uv_try_write(stream, &buffer, 1);
    if (sent == UV_EAGAIN)
        sent = 0;
    check(sent, "uv_try_write");
    size_t left = length - static_cast<size_t>(sent);
    if (left == 0)
        return;
    auto *copy = static_cast<copied_write *>(malloc(sizeof(copied_write) + left));
    memcpy(copy->bytes, data + sent, left);
    buffer = uv_buf_init(copy->bytes, static_cast<unsigned>(left));
    check(uv_write(&copy->request, stream, &buffer, 1, on_copy_written), "uv_write");
}

} // namespace bench
