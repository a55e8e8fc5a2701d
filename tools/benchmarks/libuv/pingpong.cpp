// Messages to and fro, as in libevent/pingpong.cpp.
#include "tools/benchmarks/libuv/loop.h"

#include <vector>

namespace bench {

namespace {

struct connection;

class pingpong final : public work {
public:
    explicit pingpong(const scenario &);
    void run(long units) override;
    void send(connection *to);
    void finished();

private:
    scenario what;
    uv_loop_t loop;
    std::vector<connection> connections;
    int busy = 0;
};

struct connection {
    pingpong *owner;
    uv_tcp_t client;
    uv_tcp_t server;
    std::vector<uv_write_t> writes; // one for each piece
    message_check check;
    long left;
};

void on_server_read(uv_stream_t *server, ssize_t count, const uv_buf_t *buffer)
{
    check(static_cast<int>(count), "the server's read");
    if (count > 0)
        send_bytes(server, buffer->base, static_cast<size_t>(count));
}

void on_client_read(uv_stream_t *client, ssize_t count, const uv_buf_t *buffer)
{
    auto *self = static_cast<connection *>(client->data);
    check(static_cast<int>(count), "the client's read");
    if (self->check.take(buffer->base, static_cast<size_t>(count)) == 0)
        return;
    if (--self->left > 0)
        self->owner->send(self);
    else
        self->owner->finished();
}

void on_written(uv_write_t *, int status)
{
    check(status, "uv_write");
}

pingpong::pingpong(const scenario &scenario) : what(scenario)
{
    check(uv_loop_init(&loop), "uv_loop_init");
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        socket_pair pair;
        connect_pair(&pair);
        made.owner = this;
        made.writes.resize(static_cast<size_t>(what.pieces));
        open_stream(&loop, &made.client, pair.client, on_client_read, &made);
        open_stream(&loop, &made.server, pair.server, on_server_read, nullptr);
    }
}

void pingpong::send(connection *to)
{
    uv_buf_t piece = uv_buf_init(const_cast<char *>(message_bytes()), static_cast<unsigned>(what.size));
    for (uv_write_t &request : to->writes)
        check(uv_write(&request, reinterpret_cast<uv_stream_t *>(&to->client), &piece, 1, on_written), "uv_write");
}

void pingpong::finished()
{
    if (--busy == 0)
        uv_stop(&loop);
}

void pingpong::run(long units)
{
    for (int i = 0; i < what.active; ++i) {
        connection &starting = connections[static_cast<size_t>(i)];
        starting.left = share_of(units, what.active, i);
        if (starting.left == 0)
            continue;
        ++busy;
        send(&starting);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    if (busy != 0)
        fail("the loop has ended early", busy);
}

} // namespace

work *set_up_pingpong(const scenario &what)
{
    return new pingpong(what);
}

} // namespace bench
