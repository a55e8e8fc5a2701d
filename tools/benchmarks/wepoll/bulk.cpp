// One way: the client sends blocks as fast as they go, the server takes them.
#include "tools/benchmarks/wepoll/epoll.h"

namespace bench {

namespace {

// As often a full buffer is received before others get their turn.
constexpr int receives_a_turn = 32;

class bulk final : public work {
public:
    explicit bulk(const scenario &);
    void run(long units) override;
    void send_blocks();
    void receive();

private:
    size_t size;
    epoll loop;
    watched client;
    watched server;
    message_check check;
    size_t sent = 0; // of the block that is being sent
    bool waits = false;
    long to_send = 0;
    long to_receive = 0;
};

void client_ready(watched *client, uint32_t events)
{
    if ((events & ~EPOLLOUT) != 0)
        fail("bytes came back", static_cast<int>(events));
    static_cast<bulk *>(client->context)->send_blocks();
}

void server_ready(watched *server, uint32_t)
{
    static_cast<bulk *>(server->context)->receive();
}

bulk::bulk(const scenario &what) : size(what.size)
{
    socket_pair pair;
    connect_pair(&pair);
    client = {client_ready, this, pair.client};
    server = {server_ready, this, pair.server};
    set_nonblocking(pair.client);
    set_nonblocking(pair.server);
    loop.add(&client, EPOLLIN);
    loop.add(&server, EPOLLIN);
}

// Until the socket takes no more. EPOLLOUT is asked for as long as there is more to send.
void bulk::send_blocks()
{
    bool taken = true;
    while (taken && to_send > 0) {
        int wanted = static_cast<int>(size - sent);
        int count = send(client.socket, message_bytes() + sent, wanted, 0);
        if (count < 0 && WSAGetLastError() != WSAEWOULDBLOCK)
            fail("send", WSAGetLastError());
        taken = count == wanted;
        sent = taken ? 0 : sent + static_cast<size_t>(count < 0 ? 0 : count);
        to_send -= taken;
    }
    bool more = to_send > 0;
    if (more != waits)
        loop.change(&client, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
    waits = more;
}

void bulk::receive()
{
    int count = receive_size;
    for (int i = 0; count == receive_size && to_receive > 0 && i < receives_a_turn; ++i) {
        count = receive_some(server.socket);
        if (count == 0)
            fail("a connection has ended", 0);
        if (count > 0)
            to_receive -= check.take(receive_buffer, static_cast<size_t>(count));
    }
    if (to_receive == 0)
        loop.stop();
}

void bulk::run(long units)
{
    to_send = to_receive = units;
    send_blocks();
    loop.run();
}

} // namespace

work *set_up_bulk(const scenario &what)
{
    return new bulk(what);
}

} // namespace bench
