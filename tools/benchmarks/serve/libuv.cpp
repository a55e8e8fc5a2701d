// On libuv: what can be sent at once is sent so, as in the other rows.
// libuv's header includes Windows's in an order of its own.
#include <uv.h>

#include "tools/benchmarks/serve/serve.h"

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

void check(int result, const char *what)
{
    if (result < 0)
        fail(what, result);
}

void on_copy_written(uv_write_t *request, int)
{
    free(request); // a connection that has ended tells so by its read
}

void send_bytes(uv_stream_t *stream, const char *data, size_t length)
{
    uv_buf_t buffer = uv_buf_init(const_cast<char *>(data), static_cast<unsigned>(length));
    int sent = uv_try_write(stream, &buffer, 1);
    size_t left = length - static_cast<size_t>(sent > 0 ? sent : 0);
    if (left == 0)
        return;
    auto *copy = static_cast<copied_write *>(malloc(sizeof(copied_write) + left));
    memcpy(copy->bytes, data + (length - left), left);
    buffer = uv_buf_init(copy->bytes, static_cast<unsigned>(left));
    check(uv_write(&copy->request, stream, &buffer, 1, on_copy_written), "uv_write");
}

void give_buffer(uv_handle_t *, size_t, uv_buf_t *buffer)
{
    *buffer = uv_buf_init(read_buffer, read_size);
}

void on_closed(uv_handle_t *handle)
{
    delete reinterpret_cast<uv_tcp_t *>(handle);
}

// True where there is nothing to take: the end, or a read that brought nothing.
bool ended(uv_stream_t *from, ssize_t count)
{
    if (count < 0)
        uv_close(reinterpret_cast<uv_handle_t *>(from), on_closed);
    return count <= 0;
}

void on_echo_read(uv_stream_t *from, ssize_t count, const uv_buf_t *buffer)
{
    if (ended(from, count))
        return;
    count_echo(static_cast<size_t>(count));
    send_bytes(from, buffer->base, static_cast<size_t>(count));
}

void on_control_read(uv_stream_t *from, ssize_t count, const uv_buf_t *buffer)
{
    if (ended(from, count))
        return;
    for (ssize_t i = 0; i < count; ++i) {
        if (obey(buffer->base[i]) == control::answer)
            send_bytes(from, buffer->base + i, 1);
        else
            uv_stop(from->loop);
    }
}

void take(uv_stream_t *listener, int status, uv_read_cb on_read)
{
    check(status, "an accept");
    auto *made = new uv_tcp_t;
    auto *stream = reinterpret_cast<uv_stream_t *>(made);
    check(uv_tcp_init(listener->loop, made), "uv_tcp_init");
    check(uv_accept(listener, stream), "uv_accept");
    check(uv_read_start(stream, give_buffer, on_read), "uv_read_start");
}

void on_echo_connection(uv_stream_t *listener, int status)
{
    take(listener, status, on_echo_read);
}

void on_control_connection(uv_stream_t *listener, int status)
{
    take(listener, status, on_control_read);
}

void listen(uv_loop_t *loop, const char *kind, uv_connection_cb on_connection)
{
    auto *listener = new uv_tcp_t;
    sockaddr_in address = any_port();
    check(uv_tcp_init(loop, listener), "uv_tcp_init");
    check(uv_tcp_bind(listener, reinterpret_cast<sockaddr *>(&address), 0), "uv_tcp_bind");
    check(uv_listen(reinterpret_cast<uv_stream_t *>(listener), SOMAXCONN, on_connection), "uv_listen");
    print_port(kind, listener->socket);
}

void close_handle(uv_handle_t *handle, void *)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

} // namespace

void serve(const serving &)
{
    uv_loop_t loop;
    check(uv_loop_init(&loop), "uv_loop_init");
    print_method("libuv");
    listen(&loop, "control", on_control_connection);
    listen(&loop, "echo", on_echo_connection);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_walk(&loop, close_handle, nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&loop), "uv_loop_close");
}

} // namespace bench
