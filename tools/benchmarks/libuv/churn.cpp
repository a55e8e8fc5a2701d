// Connections that live for one message: connect, send, get it back, close. So many at a time. Or they stay: then the next
// ones have all the earlier ones beside them.
#include "tools/benchmarks/libuv/loop.h"

#include <deque>

namespace bench {

namespace {

class churn;

// One of the clients, which makes one connection after the other.
struct client {
    churn *owner;
    uv_tcp_t stream;
    uv_connect_t connecting;
    uv_write_t writing;
    message_check check;
};

class churn final : public work {
public:
    churn(const scenario &, bool keep);
    void run(long units) override;
    void connect_next(client *);
    void write(client *);
    void answered(client *);
    void finished();
    void serve();

private:
    client *add_client();

    scenario what;
    bool keep; // they stay
    uv_loop_t loop;
    uv_tcp_t listener;
    sockaddr_in address;
    std::deque<client> clients;
    long to_start = 0;
    long to_finish = 0;
};

void on_server_closed(uv_handle_t *server)
{
    delete reinterpret_cast<uv_tcp_t *>(server);
}

void on_server_read(uv_stream_t *server, ssize_t count, const uv_buf_t *buffer)
{
    if (count == UV_EOF) {
        uv_close(reinterpret_cast<uv_handle_t *>(server), on_server_closed);
        return;
    }
    check(static_cast<int>(count), "the server's read");
    send_bytes(server, buffer->base, static_cast<size_t>(count));
}

void on_connection(uv_stream_t *listener, int status)
{
    check(status, "an accept");
    static_cast<churn *>(listener->data)->serve();
}

void on_client_closed(uv_handle_t *stream)
{
    auto *self = static_cast<client *>(stream->data);
    self->owner->finished();
    self->owner->connect_next(self);
}

void on_client_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    auto *self = static_cast<client *>(stream->data);
    check(static_cast<int>(count), "the client's read");
    if (self->check.take(buffer->base, static_cast<size_t>(count)) != 0)
        self->owner->answered(self);
}

void on_written(uv_write_t *, int status)
{
    check(status, "uv_write");
}

void on_connected(uv_connect_t *connecting, int status)
{
    check(status, "a connect");
    auto *self = static_cast<client *>(connecting->data);
    check(uv_read_start(connecting->handle, static_buffer, on_client_read), "uv_read_start");
    self->owner->write(self);
}

churn::churn(const scenario &scenario, bool kept) : what(scenario), keep(kept), address(loopback(0))
{
    check(uv_loop_init(&loop), "uv_loop_init");
    check(uv_tcp_init(&loop, &listener), "uv_tcp_init");
    listener.data = this;
    check(uv_tcp_bind(&listener, reinterpret_cast<sockaddr *>(&address), 0), "uv_tcp_bind");
    check(uv_listen(reinterpret_cast<uv_stream_t *>(&listener), SOMAXCONN, on_connection), "uv_listen");
    int length = sizeof(address);
    check(uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr *>(&address), &length), "uv_tcp_getsockname");
    for (int i = 0; i < what.active && !keep; ++i)
        add_client();
}

// Clients keep their places.
client *churn::add_client()
{
    clients.emplace_back();
    clients.back().owner = this;
    clients.back().connecting.data = &clients.back();
    return &clients.back();
}

void churn::answered(client *self)
{
    if (!keep) {
        uv_close(reinterpret_cast<uv_handle_t *>(&self->stream), on_client_closed);
        return;
    }
    finished();
    if (to_start > 0)
        connect_next(add_client());
}

void churn::serve()
{
    auto *server = new uv_tcp_t;
    auto *stream = reinterpret_cast<uv_stream_t *>(server);
    check(uv_tcp_init(&loop, server), "uv_tcp_init");
    check(uv_accept(reinterpret_cast<uv_stream_t *>(&listener), stream), "uv_accept");
    check(uv_read_start(stream, static_buffer, on_server_read), "uv_read_start");
}

void churn::connect_next(client *self)
{
    if (to_start == 0)
        return;
    --to_start;
    check(uv_tcp_init(&loop, &self->stream), "uv_tcp_init");
    self->stream.data = self;
    check(uv_tcp_connect(&self->connecting, &self->stream, reinterpret_cast<sockaddr *>(&address), on_connected),
          "uv_tcp_connect");
}

void churn::write(client *self)
{
    uv_buf_t message = uv_buf_init(const_cast<char *>(message_bytes()), static_cast<unsigned>(what.size));
    check(uv_write(&self->writing, reinterpret_cast<uv_stream_t *>(&self->stream), &message, 1, on_written),
          "uv_write");
}

void churn::finished()
{
    if (--to_finish == 0)
        uv_stop(&loop);
}

void churn::run(long units)
{
    to_start = to_finish = units;
    for (int i = 0; i < what.active; ++i)
        connect_next(keep ? add_client() : &clients[static_cast<size_t>(i)]);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (to_finish != 0)
        fail("the loop has ended early", 0);
}

} // namespace

work *set_up_churn(const scenario &what)
{
    return new churn(what, false);
}

work *set_up_connects(const scenario &what)
{
    return new churn(what, true);
}

} // namespace bench
