// Messages to and fro over named pipes, as in pingpong.cpp over sockets.
#include "tools/benchmarks/libuv/loop.h"

#include <vector>

namespace bench {

namespace {

struct pipe_connection;

class pipes final : public work {
public:
    explicit pipes(const scenario &);
    void run(long units) override;
    void send(pipe_connection *to);
    void finished();

private:
    scenario what;
    uv_loop_t loop;
    std::vector<pipe_connection> connections;
    int busy = 0;
};

struct pipe_connection {
    pipes *owner;
    uv_pipe_t client;
    uv_pipe_t server;
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
    auto *self = static_cast<pipe_connection *>(client->data);
    check(static_cast<int>(count), "the client's read");
    if (count == 0)
        return;
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

void open_pipe(uv_loop_t *loop, uv_pipe_t *pipe, HANDLE file, uv_read_cb on_read, void *context)
{
    check(uv_pipe_init(loop, pipe, 0), "uv_pipe_init");
    check(uv_pipe_open(pipe, uv_open_osfhandle(file)), "uv_pipe_open");
    pipe->data = context;
    check(uv_read_start(reinterpret_cast<uv_stream_t *>(pipe), static_buffer, on_read), "uv_read_start");
}

pipes::pipes(const scenario &scenario) : what(scenario)
{
    check(uv_loop_init(&loop), "uv_loop_init");
    connections.resize(static_cast<size_t>(what.connections));
    for (pipe_connection &made : connections) {
        pipe_pair pair;
        connect_pipe(&pair);
        made.owner = this;
        made.writes.resize(static_cast<size_t>(what.pieces));
        open_pipe(&loop, &made.client, pair.client, on_client_read, &made);
        open_pipe(&loop, &made.server, pair.server, on_server_read, nullptr);
    }
}

void pipes::send(pipe_connection *to)
{
    uv_buf_t piece = uv_buf_init(const_cast<char *>(message_bytes()), static_cast<unsigned>(what.size));
    for (uv_write_t &request : to->writes)
        check(uv_write(&request, reinterpret_cast<uv_stream_t *>(&to->client), &piece, 1, on_written), "uv_write");
}

void pipes::finished()
{
    if (--busy == 0)
        uv_stop(&loop);
}

void pipes::run(long units)
{
    for (int i = 0; i < what.active; ++i) {
        pipe_connection &starting = connections[static_cast<size_t>(i)];
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

work *set_up_pipes(const scenario &what)
{
    return new pipes(what);
}

} // namespace bench
