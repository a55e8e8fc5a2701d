// Connections that live for one message: connect, send, get it back, close. So many at a time. Or they stay: then the next
// ones have all the earlier ones beside them.
#include "tools/benchmarks/libevent/base.h"

#include <vector>

namespace bench {

namespace {

class churn;

struct client {
    churn *owner;
    bufferevent *events;
    message_check check;
};

class churn final : public work {
public:
    churn(const scenario &, bool keep);
    void run(long units) override;
    void connect_next(client *);
    void finished(client *);
    void serve(evutil_socket_t socket);

private:
    scenario what;
    bool keep; // they stay
    event_base *base;
    sockaddr_in address;
    std::vector<client> clients;
    long to_start = 0;
    long to_finish = 0;
};

void on_server_read(bufferevent *server, void *)
{
    evbuffer_add_buffer(bufferevent_get_output(server), bufferevent_get_input(server));
}

void on_server_event(bufferevent *server, short what, void *)
{
    if ((what & BEV_EVENT_EOF) == 0)
        fail("a served connection", what);
    bufferevent_free(server);
}

void on_client_read(bufferevent *events, void *context)
{
    auto *self = static_cast<client *>(context);
    if (take_input(bufferevent_get_input(events), &self->check) != 0)
        self->owner->finished(self);
}

void on_client_event(bufferevent *, short what, void *)
{
    if (what != BEV_EVENT_CONNECTED)
        fail("a connection", what);
}

void on_accept(evconnlistener *, evutil_socket_t socket, sockaddr *, int, void *context)
{
    static_cast<churn *>(context)->serve(socket);
}

churn::churn(const scenario &scenario, bool kept)
    : what(scenario), keep(kept), base(make_base(scenario)), address(loopback(0))
{
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    int length = sizeof(address);
    evconnlistener *listener =
        evconnlistener_new_bind(base, on_accept, this, LEV_OPT_CLOSE_ON_FREE, SOMAXCONN, generic, length);
    if (listener == nullptr || getsockname(static_cast<SOCKET>(evconnlistener_get_fd(listener)), generic, &length) != 0)
        fail("no listener", WSAGetLastError());
    clients.resize(static_cast<size_t>(what.active));
    for (client &made : clients)
        made.owner = this;
}

void churn::serve(evutil_socket_t socket)
{
    bufferevent *server = bufferevent_socket_new(base, socket, BEV_OPT_CLOSE_ON_FREE);
    if (server == nullptr)
        fail("bufferevent_socket_new", WSAGetLastError());
    bufferevent_setcb(server, on_server_read, nullptr, on_server_event, nullptr);
    bufferevent_enable(server, EV_READ | EV_WRITE);
}

void churn::connect_next(client *self)
{
    if (to_start == 0)
        return;
    --to_start;
    self->events = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (self->events == nullptr)
        fail("bufferevent_socket_new", WSAGetLastError());
    bufferevent_setcb(self->events, on_client_read, nullptr, on_client_event, self);
    if (bufferevent_socket_connect(self->events, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)
        fail("bufferevent_socket_connect", WSAGetLastError());
    bufferevent_enable(self->events, EV_READ | EV_WRITE);
    bufferevent_write(self->events, message_bytes(), what.size);
}

void churn::finished(client *self)
{
    if (!keep)
        bufferevent_free(self->events);
    if (--to_finish == 0)
        event_base_loopbreak(base);
    else
        connect_next(self);
}

void churn::run(long units)
{
    to_start = to_finish = units;
    for (client &starting : clients)
        connect_next(&starting);
    event_base_dispatch(base);
    if (to_finish != 0)
        fail("the loop has ended early", 0);
}

} // namespace

work *set_up_churn(const scenario &what)
{
    return new churn(what, false);
}

work *set_up_connects(const scenario &what)
{
    return new churn(what, true);
}

} // namespace bench
