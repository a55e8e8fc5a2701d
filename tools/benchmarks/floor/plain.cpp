// Readiness: who waits is told, and receives by a call of its own. A receive of no bytes tells.
#include "tools/benchmarks/floor/port.h"

#include <vector>

namespace bench {

namespace {

constexpr int receive_size = 4096;

struct connection;

class plain final : public work {
public:
    explicit plain(const scenario &);
    void run(long units) override;
    void wait_for(receive_operation *readiness) { completions.receive_soon(readiness); }
    void send(connection *to);
    void finished();

private:
    scenario what;
    port completions;
    std::vector<connection> connections;
    int busy = 0;
};

struct connection {
    plain *owner;
    receive_operation client;
    receive_operation server;
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

void client_ready(operation *ended, DWORD)
{
    auto *self = static_cast<connection *>(ended->context);
    char buffer[receive_size];
    int count = receive(self->client.socket, buffer);
    if (self->check.take(buffer, static_cast<size_t>(count)) != 0) {
        if (--self->left > 0)
            self->owner->send(self);
        else
            self->owner->finished();
    }
    self->owner->wait_for(&self->client);
}

void server_ready(operation *ended, DWORD)
{
    auto *self = static_cast<connection *>(ended->context);
    char buffer[receive_size];
    int count = receive(self->server.socket, buffer);
    if (::send(self->server.socket, buffer, count, 0) != count)
        fail("send", WSAGetLastError());
    self->owner->wait_for(&self->server);
}

plain::plain(const scenario &scenario) : what(scenario)
{
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        socket_pair pair;
        connect_pair(&pair);
        made.owner = this;
        made.client.socket = pair.client;
        made.server.socket = pair.server;
        made.client.common.ended = client_ready;
        made.server.common.ended = server_ready;
        made.client.common.context = made.server.common.context = &made;
        for (receive_operation *readiness : {&made.client, &made.server}) {
            set_nonblocking(readiness->socket);
            completions.add(readiness->socket);
            completions.receive_soon(readiness);
        }
    }
}

void plain::send(connection *to)
{
    int size = static_cast<int>(what.size);
    if (::send(to->client.socket, message_bytes(), size, 0) != size)
        fail("send", WSAGetLastError());
}

void plain::finished()
{
    if (--busy == 0)
        completions.stop();
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
    completions.run();
}

} // namespace

work *set_up_plain(const scenario &what)
{
    return new plain(what);
}

} // namespace bench
