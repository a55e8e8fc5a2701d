// Messages to and fro, as in libevent/pingpong.cpp.
#include "tools/benchmarks/wepoll/epoll.h"

#include <vector>

namespace bench {

namespace {

constexpr DWORD max_pieces = 64;

struct connection;

class pingpong final : public work {
public:
    explicit pingpong(const scenario &);
    void run(long units) override;
    void send(connection *to);
    void finished();

private:
    scenario what;
    epoll loop;
    std::vector<connection> connections;
    int busy = 0;
};

struct connection {
    pingpong *owner;
    stream client;
    stream server;
    message_check check;
    long left;
};

void server_received(stream *server, const char *data, size_t length)
{
    if (length == 0)
        fail("a connection has ended", 0);
    server->send(data, length);
}

void client_received(stream *client, const char *data, size_t length)
{
    auto *self = static_cast<connection *>(client->context);
    if (length == 0)
        fail("a connection has ended", 0);
    if (self->check.take(data, length) == 0)
        return;
    if (--self->left > 0)
        self->owner->send(self);
    else
        self->owner->finished();
}

pingpong::pingpong(const scenario &scenario) : what(scenario)
{
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        socket_pair pair;
        connect_pair(&pair);
        made.owner = this;
        made.client.open(&loop, pair.client, client_received, &made);
        made.server.open(&loop, pair.server, server_received, &made);
    }
}

// Nothing below the program gathers its writes, so it does: a call for each of them would cost more.
void pingpong::send(connection *to)
{
    WSABUF pieces[max_pieces];
    DWORD count = static_cast<DWORD>(what.pieces);
    for (DWORD i = 0; i < count; ++i)
        pieces[i] = {static_cast<ULONG>(what.size), const_cast<char *>(message_bytes())};
    to->client.send(pieces, count);
}

void pingpong::finished()
{
    if (--busy == 0)
        loop.stop();
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
    loop.run();
}

} // namespace

work *set_up_pingpong(const scenario &what)
{
    if (static_cast<DWORD>(what.pieces) > max_pieces)
        fail("too many pieces", what.pieces);
    return new pingpong(what);
}

} // namespace bench
