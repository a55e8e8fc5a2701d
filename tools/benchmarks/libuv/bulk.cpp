// One way: the client sends blocks as fast as they go, the server takes them.
#include "tools/benchmarks/libuv/loop.h"

namespace bench {

namespace {

// Writes in flight at a time: one on its way, one behind it.
constexpr int blocks_ahead = 2;

class bulk final : public work {
public:
    explicit bulk(const scenario &);
    void run(long units) override;
    void send_next(uv_write_t *request);
    void written(uv_write_t *request);
    void received(const char *data, size_t length);
    void stop_at_end();

private:
    size_t size;
    uv_loop_t loop;
    uv_tcp_t client;
    uv_tcp_t server;
    uv_write_t writes[blocks_ahead];
    message_check check;
    long to_send = 0;
    long to_receive = 0;
    int writing = 0;
};

void on_server_read(uv_stream_t *server, ssize_t count, const uv_buf_t *buffer)
{
    bench::check(static_cast<int>(count), "the server's read");
    static_cast<bulk *>(server->data)->received(buffer->base, static_cast<size_t>(count));
}

void on_client_read(uv_stream_t *, ssize_t, const uv_buf_t *)
{
    fail("bytes came back", 0);
}

void on_written(uv_write_t *request, int status)
{
    bench::check(status, "uv_write");
    static_cast<bulk *>(request->data)->written(request);
}

bulk::bulk(const scenario &what) : size(what.size)
{
    bench::check(uv_loop_init(&loop), "uv_loop_init");
    socket_pair pair;
    connect_pair(&pair);
    open_stream(&loop, &client, pair.client, on_client_read, this);
    open_stream(&loop, &server, pair.server, on_server_read, this);
    for (uv_write_t &request : writes)
        request.data = this;
}

void bulk::send_next(uv_write_t *request)
{
    if (to_send == 0)
        return;
    --to_send;
    ++writing;
    uv_buf_t block = uv_buf_init(const_cast<char *>(message_bytes()), static_cast<unsigned>(size));
    bench::check(uv_write(request, reinterpret_cast<uv_stream_t *>(&client), &block, 1, on_written), "uv_write");
}

void bulk::written(uv_write_t *request)
{
    --writing;
    send_next(request);
    stop_at_end();
}

// A request may not be used again before its callback.
void bulk::stop_at_end()
{
    if (to_receive == 0 && writing == 0)
        uv_stop(&loop);
}

void bulk::received(const char *data, size_t length)
{
    to_receive -= check.take(data, length);
    stop_at_end();
}

void bulk::run(long units)
{
    to_send = to_receive = units;
    for (uv_write_t &request : writes)
        send_next(&request);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (to_receive != 0)
        fail("the loop has ended early", 0);
}

} // namespace

work *set_up_bulk(const scenario &what)
{
    return new bulk(what);
}

} // namespace bench
