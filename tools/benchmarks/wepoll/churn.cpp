// Connections that live for one message: connect, send, get it back, close. So many at a time.
#include "tools/benchmarks/wepoll/epoll.h"

#include <vector>

namespace bench {

namespace {

class churn;

// One of the clients, which makes one connection after the other.
struct client {
    churn *owner;
    stream connection;
    message_check check;
};

class churn final : public work {
public:
    explicit churn(const scenario &);
    void run(long units) override;
    void connect_next(client *);
    void finished(client *);
    void accept_waiting();

private:
    scenario what;
    epoll loop;
    watched listener;
    sockaddr_in address;
    std::vector<client> clients;
    long to_start = 0;
    long to_finish = 0;
};

void server_received(stream *server, const char *data, size_t length)
{
    if (length > 0) {
        server->send(data, length);
        return;
    }
    server->close();
    delete server;
}

void client_received(stream *connection, const char *data, size_t length)
{
    auto *self = static_cast<client *>(connection->context);
    if (length == 0)
        fail("a connection has ended", 0);
    if (self->check.take(data, length) != 0)
        self->owner->finished(self);
}

void listener_ready(watched *listener, uint32_t)
{
    static_cast<churn *>(listener->context)->accept_waiting();
}

churn::churn(const scenario &scenario) : what(scenario), address(loopback(0))
{
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    int length = sizeof(address);
    listener = {listener_ready, this, socket(AF_INET, SOCK_STREAM, 0)};
    if (listener.socket == INVALID_SOCKET || bind(listener.socket, generic, length) != 0 ||
        listen(listener.socket, SOMAXCONN) != 0 || getsockname(listener.socket, generic, &length) != 0)
        fail("no listener", WSAGetLastError());
    set_nonblocking(listener.socket);
    loop.add(&listener, EPOLLIN);
    clients.resize(static_cast<size_t>(what.active));
    for (client &made : clients)
        made.owner = this;
}

// All that are there: one more call that finds none costs less than to be told again.
void churn::accept_waiting()
{
    SOCKET accepted;
    while ((accepted = accept(listener.socket, nullptr, nullptr)) != INVALID_SOCKET)
        (new stream)->open(&loop, accepted, server_received, nullptr);
    if (WSAGetLastError() != WSAEWOULDBLOCK)
        fail("accept", WSAGetLastError());
}

void churn::connect_next(client *self)
{
    if (to_start == 0)
        return;
    --to_start;
    self->connection.connect(&loop, address, client_received, self);
    self->connection.send(message_bytes(), what.size);
}

void churn::finished(client *self)
{
    self->connection.close();
    if (--to_finish == 0)
        loop.stop();
    else
        connect_next(self);
}

void churn::run(long units)
{
    to_start = to_finish = units;
    for (client &starting : clients)
        connect_next(&starting);
    loop.run();
}

} // namespace

work *set_up_churn(const scenario &what)
{
    return new churn(what);
}

} // namespace bench
