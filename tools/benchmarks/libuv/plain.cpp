// Readiness (uv_poll): who waits is told, and receives by a call of its own.
#include "tools/benchmarks/libuv/loop.h"

#include <vector>

namespace bench {

namespace {

constexpr int receive_size = 4096;

struct connection;

class plain final : public work {
public:
    explicit plain(const scenario &);
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
    plain *owner;
    uv_poll_t client_poll;
    uv_poll_t server_poll;
    socket_pair sockets;
    message_check check;
    long left;
};

int receive(SOCKET socket, char *buffer)
{
    int count = recv(socket, buffer, receive_size, 0);
    if (count <= 0)
        fail("recv", WSAGetLastError());
    return count;
}

void on_client_readable(uv_poll_t *poll, int status, int)
{
    check(status, "uv_poll");
    auto *self = static_cast<connection *>(poll->data);
    char buffer[receive_size];
    int count = receive(self->sockets.client, buffer);
    if (self->check.take(buffer, static_cast<size_t>(count)) == 0)
        return;
    if (--self->left > 0)
        self->owner->send(self);
    else
        self->owner->finished();
}

void on_server_readable(uv_poll_t *poll, int status, int)
{
    check(status, "uv_poll");
    auto *self = static_cast<connection *>(poll->data);
    char buffer[receive_size];
    int count = receive(self->sockets.server, buffer);
    if (send(self->sockets.server, buffer, count, 0) != count)
        fail("send", WSAGetLastError());
}

plain::plain(const scenario &scenario) : what(scenario)
{
    check(uv_loop_init(&loop), "uv_loop_init");
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        connect_pair(&made.sockets);
        made.owner = this;
        made.client_poll.data = made.server_poll.data = &made;
        check(uv_poll_init_socket(&loop, &made.client_poll, made.sockets.client), "uv_poll_init_socket");
        check(uv_poll_init_socket(&loop, &made.server_poll, made.sockets.server), "uv_poll_init_socket");
        check(uv_poll_start(&made.client_poll, UV_READABLE, on_client_readable), "uv_poll_start");
        check(uv_poll_start(&made.server_poll, UV_READABLE, on_server_readable), "uv_poll_start");
    }
}

void plain::send(connection *to)
{
    int size = static_cast<int>(what.size);
    if (::send(to->sockets.client, message_bytes(), size, 0) != size)
        fail("send", WSAGetLastError());
}

void plain::finished()
{
    if (--busy == 0)
        uv_stop(&loop);
}

void plain::run(long units)
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

work *set_up_plain(const scenario &what)
{
    return new plain(what);
}

} // namespace bench
