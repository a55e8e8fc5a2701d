// Readiness: who waits is told, and receives by a call of its own.
//
// Sockets that were ready lately are looked at together, by one select() that does not wait. The others wait on the
// port, each with a receive of no bytes: what they cost does not depend on how many they are.
#include "tools/benchmarks/floor/port.h"

#include <vector>

namespace bench {

namespace {

constexpr int receive_size = 4096;

// A socket that was not ready this many times in a row waits on the port.
constexpr int misses_allowed = 4;

// Looks at the port while there are others to look at.
constexpr int turns_per_look = 64;

struct connection;

struct endpoint {
    receive_operation readiness; // first
    void (*ready)(endpoint *);
    connection *owner;
    int misses;
};

class plain final : public work {
public:
    explicit plain(const scenario &);
    void run(long units) override;
    void send(connection *to);
    void finished() { --busy; }
    void looked_at_soon(endpoint *end);

private:
    void prepare(endpoint *end, SOCKET socket, void (*ready)(endpoint *), connection *owner);
    void look_at_lately_ready();

    scenario what;
    port completions;
    std::vector<endpoint *> lately_ready;
    std::vector<endpoint *> looked_at;
    std::vector<connection> connections;
    int busy = 0;
};

struct connection {
    plain *owner;
    endpoint client;
    endpoint server;
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

void client_ready(endpoint *client)
{
    connection *self = client->owner;
    char buffer[receive_size];
    int count = receive(client->readiness.socket, buffer);
    if (self->check.take(buffer, static_cast<size_t>(count)) == 0)
        return;
    if (--self->left > 0)
        self->owner->send(self);
    else
        self->owner->finished();
}

void server_ready(endpoint *server)
{
    char buffer[receive_size];
    int count = receive(server->readiness.socket, buffer);
    if (::send(server->readiness.socket, buffer, count, 0) != count)
        fail("send", WSAGetLastError());
}

void wait_ended(operation *ended, DWORD)
{
    auto *end = static_cast<endpoint *>(ended->context);
    end->ready(end);
    end->owner->owner->looked_at_soon(end);
}

void plain::prepare(endpoint *end, SOCKET socket, void (*ready)(endpoint *), connection *owner)
{
    set_nonblocking(socket);
    completions.add(socket);
    end->readiness.socket = socket;
    end->readiness.common.ended = wait_ended;
    end->readiness.common.context = end;
    end->ready = ready;
    end->owner = owner;
    completions.receive_soon(&end->readiness);
}

plain::plain(const scenario &scenario) : what(scenario)
{
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        socket_pair pair;
        connect_pair(&pair);
        made.owner = this;
        prepare(&made.client, pair.client, client_ready, &made);
        prepare(&made.server, pair.server, server_ready, &made);
    }
}

void plain::looked_at_soon(endpoint *end)
{
    end->misses = 0;
    if (lately_ready.size() < FD_SETSIZE)
        lately_ready.push_back(end);
    else
        completions.receive_soon(&end->readiness);
}

void plain::look_at_lately_ready()
{
    fd_set ready;
    FD_ZERO(&ready);
    for (endpoint *end : lately_ready)
        ready.fd_array[ready.fd_count++] = end->readiness.socket;
    timeval at_once = {0, 0};
    if (select(0, &ready, nullptr, nullptr, &at_once) < 0)
        fail("select", WSAGetLastError());
    looked_at.swap(lately_ready);
    for (endpoint *end : looked_at) {
        if (FD_ISSET(end->readiness.socket, &ready)) {
            end->ready(end);
            looked_at_soon(end);
        } else if (++end->misses < misses_allowed) {
            lately_ready.push_back(end);
        } else {
            completions.receive_soon(&end->readiness);
        }
    }
    looked_at.clear();
}

void plain::send(connection *to)
{
    int size = static_cast<int>(what.size);
    if (::send(to->client.readiness.socket, message_bytes(), size, 0) != size)
        fail("send", WSAGetLastError());
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
    for (int turn = 0; busy > 0; ++turn) {
        if (!lately_ready.empty())
            look_at_lately_ready();
        if (busy > 0 && (lately_ready.empty() || turn % turns_per_look == 0))
            completions.turn(lately_ready.empty());
    }
}

} // namespace

work *set_up_plain(const scenario &what)
{
    return new plain(what);
}

} // namespace bench
