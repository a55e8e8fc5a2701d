// Messages to and fro: the client sends one, the server sends back what it gets as it comes, the client sends the next
// when all of it is back.
#include "tools/benchmarks/libevent/base.h"

#include <vector>

namespace bench {

namespace {

struct connection;

class pingpong final : public work {
public:
    explicit pingpong(const scenario &);
    void run(long units) override;
    void send(bufferevent *client) const;
    void finished();

private:
    scenario what;
    event_base *base;
    std::vector<connection> connections;
    int busy = 0;
};

struct connection {
    pingpong *owner;
    bufferevent *client;
    message_check check;
    long left;
};

void on_server_read(bufferevent *server, void *)
{
    evbuffer_add_buffer(bufferevent_get_output(server), bufferevent_get_input(server));
}

void on_client_read(bufferevent *client, void *context)
{
    auto *self = static_cast<connection *>(context);
    if (take_input(bufferevent_get_input(client), &self->check) == 0)
        return;
    if (--self->left > 0)
        self->owner->send(client);
    else
        self->owner->finished();
}

pingpong::pingpong(const scenario &scenario) : what(scenario), base(make_base(scenario))
{
    connections.resize(static_cast<size_t>(what.connections));
    for (connection &made : connections) {
        socket_pair pair;
        connect_pair(&pair);
        made.owner = this;
        made.client = make_bufferevent(base, pair.client, what, on_client_read, &made);
        make_bufferevent(base, pair.server, what, on_server_read, nullptr);
    }
}

void pingpong::send(bufferevent *client) const
{
    for (int i = 0; i < what.pieces; ++i)
        bufferevent_write(client, message_bytes(), what.size);
}

void pingpong::finished()
{
    if (--busy == 0)
        event_base_loopbreak(base);
}

void pingpong::run(long units)
{
    for (int i = 0; i < what.active; ++i) {
        connection &starting = connections[static_cast<size_t>(i)];
        starting.left = share_of(units, what.active, i);
        if (starting.left == 0)
            continue;
        ++busy;
        send(starting.client);
    }
    event_base_dispatch(base);
    if (busy != 0)
        fail("the loop has ended early", busy);
}

} // namespace

work *set_up_pingpong(const scenario &what)
{
    return new pingpong(what);
}

} // namespace bench
