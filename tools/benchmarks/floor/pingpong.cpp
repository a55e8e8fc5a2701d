// Messages to and fro, as in libevent/pingpong.cpp.
#include "tools/benchmarks/floor/port.h"

#include <vector>

namespace bench {

namespace {

constexpr DWORD max_pieces = 64;

// What is received at a time: a message, within this.
constexpr size_t max_receive = 64 * 1024;

class pingpong;

struct connection;

struct endpoint {
    receive_operation receiving; // first
    operation sending;
    std::vector<char> buffer;
};

struct connection {
    pingpong *owner;
    endpoint client;
    endpoint server;
    message_check check;
    long left;
    bool send_pending; // the packet of the client's last send has not been taken yet
    bool send_waits;   // for that
};

class pingpong final : public work {
public:
    explicit pingpong(const scenario &);
    void run(long units) override;
    void send(connection *to);
    void finished();
    void echo(endpoint *server, DWORD bytes);
    void receive(endpoint *on) { completions.receive_soon(&on->receiving); }

private:
    void prepare(endpoint *end, SOCKET socket, connection *owner);

    scenario what;
    port completions;
    std::vector<connection> connections;
    int busy = 0;
};

void client_received(operation *ended, DWORD bytes)
{
    auto *self = static_cast<connection *>(ended->context);
    if (bytes == 0)
        fail("a connection has ended", 0);
    if (self->check.take(self->client.buffer.data(), bytes) != 0) {
        if (--self->left > 0)
            self->owner->send(self);
        else
            self->owner->finished();
    }
    self->owner->receive(&self->client);
}

void server_received(operation *ended, DWORD bytes)
{
    auto *self = static_cast<connection *>(ended->context);
    if (bytes == 0)
        fail("a connection has ended", 0);
    self->owner->echo(&self->server, bytes);
}

// Its buffer is free again.
void server_sent(operation *ended, DWORD)
{
    auto *self = static_cast<connection *>(ended->context);
    self->owner->receive(&self->server);
}

void client_sent(operation *ended, DWORD)
{
    auto *self = static_cast<connection *>(ended->context);
    self->send_pending = false;
    if (self->send_waits)
        self->owner->send(self);
}

void pingpong::prepare(endpoint *end, SOCKET socket, connection *owner)
{
    completions.add(socket);
    size_t message = what.size * static_cast<size_t>(what.pieces);
    end->buffer.resize(message < max_receive ? message : max_receive);
    end->receiving.socket = socket;
    end->receiving.buffer = end->buffer.data();
    end->receiving.capacity = static_cast<DWORD>(end->buffer.size());
    end->receiving.common.context = end->sending.context = owner;
    completions.receive_soon(&end->receiving);
}

pingpong::pingpong(const scenario &scenario) : what(scenario)
{
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        socket_pair pair;
        connect_pair(&pair);
        made.owner = this;
        made.client.receiving.common.ended = client_received;
        made.client.sending.ended = client_sent;
        made.server.receiving.common.ended = server_received;
        made.server.sending.ended = server_sent;
        prepare(&made.client, pair.client, &made);
        prepare(&made.server, pair.server, &made);
    }
}

// All pieces of a message by one call.
void pingpong::send(connection *to)
{
    to->send_waits = to->send_pending;
    if (to->send_pending)
        return;
    WSABUF pieces[max_pieces];
    DWORD count = static_cast<DWORD>(what.pieces);
    for (DWORD i = 0; i < count; ++i)
        pieces[i] = {static_cast<ULONG>(what.size), const_cast<char *>(message_bytes())};
    to->send_pending = !completions.send(to->client.receiving.socket, pieces, count, &to->client.sending);
}

void pingpong::echo(endpoint *server, DWORD bytes)
{
    WSABUF buffer = {bytes, server->buffer.data()};
    if (completions.send(server->receiving.socket, &buffer, 1, &server->sending))
        receive(server);
}

void pingpong::finished()
{
    if (--busy == 0)
        completions.stop();
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
    completions.run();
}

} // namespace

work *set_up_pingpong(const scenario &what)
{
    if (static_cast<DWORD>(what.pieces) > max_pieces)
        fail("too many pieces", what.pieces);
    return new pingpong(what);
}

} // namespace bench
