// Connections that live for one message: connect, send, get it back, close. So many at a time. Or they stay: then the next
// ones have all the earlier ones beside them.
//
// One AcceptEx waits. Connections that are there when it ends are taken by accept(), which is cheaper; the message goes
// with the connect.
#include "tools/benchmarks/floor/port.h"

#include <deque>
#include <vector>

namespace bench {

namespace {

constexpr DWORD address_length = sizeof(sockaddr_in) + 16;

class churn;

// One of the clients, which makes one connection after the other.
struct client {
    churn *owner;
    operation connecting;
    receive_operation receiving;
    std::vector<char> buffer;
    message_check check;
};

// One of the accepts that wait, and the connection that it has become.
struct server {
    churn *owner;
    operation accepting;
    operation sending;
    receive_operation receiving;
    SOCKET socket;
    std::vector<char> buffer;
    char addresses[2 * address_length];
};

class churn final : public work {
public:
    churn(const scenario &, bool keep);
    void run(long units) override;
    void connect_next(client *);
    void connected(client *);
    void client_received(client *, DWORD bytes);
    void accept_waiting();
    void accept_later();
    void accepted(server *);
    void accept_ended(server *);
    void server_received(server *, DWORD bytes);
    void receive(receive_operation *on) { completions.receive_soon(on); }

private:
    SOCKET open_socket();
    client *add_client();
    void add_server();

    scenario what;
    bool keep; // they stay
    port completions;
    SOCKET listener;
    sockaddr_in address;
    std::deque<client> clients; // that keep their places, and so do these
    std::deque<server> servers;
    std::vector<server *> unused;
    bool accepting = false;
    long to_start = 0;
    long to_finish = 0;
};

void connect_ended(operation *ended, DWORD)
{
    auto *self = static_cast<client *>(ended->context);
    self->owner->connected(self);
}

void client_receive_ended(operation *ended, DWORD bytes)
{
    auto *self = static_cast<client *>(ended->context);
    self->owner->client_received(self, bytes);
}

void accept_packet(operation *ended, DWORD)
{
    auto *self = static_cast<server *>(ended->context);
    self->owner->accept_ended(self);
}

void server_receive_ended(operation *ended, DWORD bytes)
{
    auto *self = static_cast<server *>(ended->context);
    self->owner->server_received(self, bytes);
}

void server_send_ended(operation *ended, DWORD)
{
    auto *self = static_cast<server *>(ended->context);
    self->owner->receive(&self->receiving);
}

SOCKET churn::open_socket()
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (made == INVALID_SOCKET)
        fail("socket", WSAGetLastError());
    return made;
}

churn::churn(const scenario &scenario, bool kept) : what(scenario), keep(kept)
{
    listener = open_socket();
    address = loopback(0);
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    int length = sizeof(address);
    if (bind(listener, generic, length) != 0 || listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, generic, &length) != 0)
        fail("no listener", WSAGetLastError());
    completions.add(listener);
    for (int i = 0; i < what.active; ++i) {
        if (!keep)
            add_client();
        add_server();
    }
    set_nonblocking(listener);
    accept_later();
}

client *churn::add_client()
{
    clients.emplace_back();
    client &made = clients.back();
    made.owner = this;
    made.buffer.resize(what.size);
    made.connecting.ended = connect_ended;
    made.receiving.common.ended = client_receive_ended;
    made.connecting.context = made.receiving.common.context = &made;
    return &made;
}

void churn::add_server()
{
    servers.emplace_back();
    server &made = servers.back();
    made.owner = this;
    made.buffer.resize(what.size);
    made.accepting.ended = accept_packet;
    made.sending.ended = server_send_ended;
    made.receiving.common.ended = server_receive_ended;
    made.accepting.context = made.sending.context = made.receiving.common.context = &made;
    unused.push_back(&made);
}

void churn::accept_later()
{
    if (accepting || unused.empty())
        return;
    server *self = unused.back();
    unused.pop_back();
    accepting = true;
    self->socket = open_socket();
    self->accepting.overlapped = {};
    DWORD bytes = 0;
    if (accept_ex(listener)(listener, self->socket, self->addresses, 0, address_length, address_length, &bytes,
                            &self->accepting.overlapped))
        accept_ended(self);
    else if (WSAGetLastError() != WSA_IO_PENDING)
        fail("AcceptEx", WSAGetLastError());
}

void churn::accept_ended(server *self)
{
    accepting = false;
    accepted(self);
    accept_waiting();
    accept_later();
}

void churn::accept_waiting()
{
    while (!unused.empty()) {
        SOCKET socket = accept(listener, nullptr, nullptr);
        if (socket == INVALID_SOCKET && WSAGetLastError() == WSAEWOULDBLOCK)
            return;
        if (socket == INVALID_SOCKET)
            fail("accept", WSAGetLastError());
        server *self = unused.back();
        unused.pop_back();
        self->socket = socket;
        accepted(self);
    }
}

void churn::accepted(server *self)
{
    if (keep)
        add_server();
    completions.add(self->socket);
    self->receiving.socket = self->socket;
    self->receiving.buffer = self->buffer.data();
    self->receiving.capacity = static_cast<DWORD>(what.size);
    receive(&self->receiving);
}

void churn::server_received(server *self, DWORD bytes)
{
    if (bytes == 0) {
        closesocket(self->socket);
        unused.push_back(self);
        accept_later();
        return;
    }
    WSABUF buffer = {bytes, self->buffer.data()};
    if (completions.send(self->socket, &buffer, 1, &self->sending))
        receive(&self->receiving);
}

// The message goes with the connection.
void churn::connect_next(client *self)
{
    if (to_start == 0)
        return;
    --to_start;
    SOCKET socket = open_socket();
    sockaddr_in any = loopback(0);
    if (bind(socket, reinterpret_cast<sockaddr *>(&any), sizeof(any)) != 0)
        fail("bind", WSAGetLastError());
    completions.add(socket);
    self->receiving.socket = socket;
    self->receiving.buffer = self->buffer.data();
    self->receiving.capacity = static_cast<DWORD>(what.size);
    self->connecting.overlapped = {};
    DWORD bytes = 0;
    if (connect_ex(socket)(socket, reinterpret_cast<sockaddr *>(&address), sizeof(address),
                           const_cast<char *>(message_bytes()), static_cast<DWORD>(what.size), &bytes,
                           &self->connecting.overlapped))
        connected(self);
    else if (WSAGetLastError() != WSA_IO_PENDING)
        fail("ConnectEx", WSAGetLastError());
}

void churn::connected(client *self)
{
    receive(&self->receiving);
}

void churn::client_received(client *self, DWORD bytes)
{
    if (bytes == 0)
        fail("a connection has ended", 0);
    if (self->check.take(self->buffer.data(), bytes) == 0) {
        receive(&self->receiving);
        return;
    }
    if (keep)
        receive(&self->receiving); // as all that wait for what comes next
    else
        closesocket(self->receiving.socket);
    if (--to_finish == 0)
        completions.stop();
    else if (to_start > 0)
        connect_next(keep ? add_client() : self);
}

void churn::run(long units)
{
    to_start = to_finish = units;
    for (int i = 0; i < what.active; ++i)
        connect_next(keep ? add_client() : &clients[static_cast<size_t>(i)]);
    completions.run();
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
