// Events without bufferevents: who waits is told, and receives by a call of its own.
#include "tools/benchmarks/libevent/base.h"

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
    void watch(SOCKET socket, event_callback_fn on_readable, connection *context);

    scenario what;
    event_base *base;
    std::vector<connection> connections;
    int busy = 0;
};

struct connection {
    plain *owner;
    SOCKET client;
    message_check check;
    long left;
};

int receive(evutil_socket_t socket, char *buffer)
{
    int count = recv(static_cast<SOCKET>(socket), buffer, receive_size, 0);
    if (count <= 0)
        fail("recv", WSAGetLastError());
    return count;
}

void on_client_readable(evutil_socket_t socket, short, void *context)
{
    auto *self = static_cast<connection *>(context);
    char buffer[receive_size];
    int count = receive(socket, buffer);
    if (self->check.take(buffer, static_cast<size_t>(count)) == 0)
        return;
    if (--self->left > 0)
        self->owner->send(self);
    else
        self->owner->finished();
}

void on_server_readable(evutil_socket_t socket, short, void *)
{
    char buffer[receive_size];
    int count = receive(socket, buffer);
    if (send(static_cast<SOCKET>(socket), buffer, count, 0) != count)
        fail("send", WSAGetLastError());
}

void plain::watch(SOCKET socket, event_callback_fn on_readable, connection *context)
{
    auto descriptor = static_cast<evutil_socket_t>(socket);
    evutil_make_socket_nonblocking(descriptor);
    event *made = event_new(base, descriptor, EV_READ | EV_PERSIST, on_readable, context);
    if (made == nullptr || event_add(made, nullptr) != 0)
        fail("event_add", WSAGetLastError());
}

plain::plain(const scenario &scenario) : what(scenario), base(make_base(scenario))
{
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        socket_pair pair;
        connect_pair(&pair);
        made.owner = this;
        made.client = pair.client;
        watch(pair.client, on_client_readable, &made);
        watch(pair.server, on_server_readable, nullptr);
    }
}

void plain::send(connection *to)
{
    int size = static_cast<int>(what.size);
    if (::send(to->client, message_bytes(), size, 0) != size)
        fail("send", WSAGetLastError());
}

void plain::finished()
{
    if (--busy == 0)
        event_base_loopbreak(base);
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
    event_base_dispatch(base);
    if (busy != 0)
        fail("the loop has ended early", busy);
}

} // namespace

work *set_up_plain(const scenario &what)
{
    return new plain(what);
}

} // namespace bench
