// Messages to and fro over named pipes, as in libevent/pingpong.cpp over sockets. libevent alone has none.
#include "tools/benchmarks/libevent/base.h"

#include <event2/iocp_handle.h>

#include <vector>

namespace bench {

namespace {

struct pipe_connection;

class pipes final : public work {
public:
    explicit pipes(const scenario &);
    void run(long units) override;
    void send(bufferevent *client) const;
    void finished();

private:
    scenario what;
    event_base *base;
    std::vector<pipe_connection> connections;
    int busy = 0;
};

struct pipe_connection {
    pipes *owner;
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
    auto *self = static_cast<pipe_connection *>(context);
    if (take_input(bufferevent_get_input(client), &self->check) == 0)
        return;
    if (--self->left > 0)
        self->owner->send(client);
    else
        self->owner->finished();
}

bufferevent *make_bufferevent(event_base *base, HANDLE file, bufferevent_data_cb on_read, void *context)
{
    bufferevent *made = bufferevent_iocp_handle_new(base, file, BEV_OPT_CLOSE_ON_FREE);
    if (made == nullptr)
        fail("bufferevent_iocp_handle_new", EVUTIL_SOCKET_ERROR());
    bufferevent_setcb(made, on_read, nullptr, on_unwanted_event, context);
    if (bufferevent_enable(made, EV_READ | EV_WRITE) != 0)
        fail("bufferevent_enable", EVUTIL_SOCKET_ERROR());
    return made;
}

pipes::pipes(const scenario &scenario) : what(scenario), base(make_base(scenario))
{
    connections.resize(static_cast<size_t>(what.connections));
    for (pipe_connection &made : connections) {
        pipe_pair pair;
        connect_pipe(&pair);
        made.owner = this;
        made.client = make_bufferevent(base, pair.client, on_client_read, &made);
        make_bufferevent(base, pair.server, on_server_read, nullptr);
    }
}

void pipes::send(bufferevent *client) const
{
    for (int i = 0; i < what.pieces; ++i)
        bufferevent_write(client, message_bytes(), what.size);
}

void pipes::finished()
{
    if (--busy == 0)
        event_base_loopbreak(base);
}

void pipes::run(long units)
{
    for (int i = 0; i < what.active; ++i) {
        pipe_connection &starting = connections[static_cast<size_t>(i)];
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

work *set_up_pipes(const scenario &what)
{
    return new pipes(what);
}

} // namespace

const row rows[] = {{"pipes", set_up_pipes}, {nullptr, nullptr}};

} // namespace bench
