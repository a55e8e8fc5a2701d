// Straight on Win32 calls: the port and the order of floor/, for a server alone. One AcceptEx waits; connections that are
// there when it ends are taken by accept(), which is cheaper.
#include "tools/benchmarks/floor/port.h"
#include "tools/benchmarks/serve/serve.h"

#include <memory>
#include <vector>

namespace bench {

namespace {

constexpr DWORD address_length = sizeof(sockaddr_in) + 16;
constexpr DWORD receive_size = 4096;

class listener;

// An accept that waits, and the connection that it becomes.
struct peer {
    listener *owner;
    operation accepting = {};
    operation sending = {};
    receive_operation receiving = {};
    SOCKET socket = INVALID_SOCKET;
    char buffer[receive_size];
    char addresses[2 * address_length];
};

class listener {
public:
    listener(const char *kind, port *completions, bool is_control);
    void accept_waiting();
    void accept_next();
    void accepted(peer *self);
    void received(peer *self, DWORD bytes);
    void receive(peer *self) { completions->receive_soon(&self->receiving); }
    void close_all();

private:
    peer *make_peer(SOCKET connection);

    port *completions;
    bool is_control;
    SOCKET socket;
    std::vector<std::unique_ptr<peer>> all;
};

void accept_ended(operation *ended, DWORD)
{
    auto *self = static_cast<peer *>(ended->context);
    self->owner->accepted(self);
    self->owner->accept_waiting();
    self->owner->accept_next();
}

void receive_ended(operation *ended, DWORD bytes)
{
    auto *self = static_cast<peer *>(ended->context);
    self->owner->received(self, bytes);
}

// Its buffer is free again.
void send_ended(operation *ended, DWORD)
{
    auto *self = static_cast<peer *>(ended->context);
    self->owner->receive(self);
}

SOCKET open_socket()
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (made == INVALID_SOCKET)
        fail("socket", WSAGetLastError());
    return made;
}

listener::listener(const char *kind, port *used, bool takes_orders) : completions(used), is_control(takes_orders)
{
    socket = open_socket();
    sockaddr_in address = any_port();
    if (bind(socket, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 || listen(socket, SOMAXCONN) != 0)
        fail("no listener", WSAGetLastError());
    u_long on = 1;
    if (ioctlsocket(socket, FIONBIO, &on) != 0)
        fail("not made not to block", WSAGetLastError());
    completions->add(socket);
    print_port(kind, socket);
    accept_next();
}

peer *listener::make_peer(SOCKET connection)
{
    all.push_back(std::make_unique<peer>());
    peer *made = all.back().get();
    made->owner = this;
    made->accepting.ended = accept_ended;
    made->sending.ended = send_ended;
    made->receiving.common.ended = receive_ended;
    made->accepting.context = made->sending.context = made->receiving.common.context = made;
    made->receiving.buffer = made->buffer;
    made->receiving.capacity = receive_size;
    made->socket = made->receiving.socket = connection;
    return made;
}

void listener::accept_waiting()
{
    for (;;) {
        SOCKET connection = accept(socket, nullptr, nullptr);
        if (connection == INVALID_SOCKET)
            break;
        accepted(make_peer(connection));
    }
    if (WSAGetLastError() != WSAEWOULDBLOCK)
        fail("accept", WSAGetLastError());
}

// Until one has to wait.
void listener::accept_next()
{
    for (;;) {
        peer *next = make_peer(open_socket());
        DWORD bytes = 0;
        if (!accept_ex(socket)(socket, next->socket, next->addresses, 0, address_length, address_length, &bytes,
                               &next->accepting.overlapped))
            break;
        accepted(next);
    }
    if (WSAGetLastError() != WSA_IO_PENDING)
        fail("AcceptEx", WSAGetLastError());
}

void listener::accepted(peer *self)
{
    completions->add(self->socket);
    receive(self);
}

void listener::received(peer *self, DWORD bytes)
{
    if (bytes == 0) {
        closesocket(self->socket);
        self->socket = INVALID_SOCKET;
        return;
    }
    if (is_control && obey(self->buffer[0]) == control::end) {
        completions->stop();
        return;
    }
    if (!is_control)
        count_echo(bytes);
    WSABUF buffer = {bytes, self->buffer};
    if (completions->send(self->socket, &buffer, 1, &self->sending))
        receive(self);
}

void listener::close_all()
{
    closesocket(socket);
    for (auto &each : all)
        if (each->socket != INVALID_SOCKET)
            closesocket(each->socket);
}

} // namespace

void serve(const serving &)
{
    print_method("floor");
    // Never freed: what waits on a socket is cancelled when that is closed, and ends when it likes.
    auto *completions = new port;
    auto *orders = new listener("control", completions, true);
    auto *echo = new listener("echo", completions, false);
    completions->run();
    echo->close_all();
    orders->close_all();
}

} // namespace bench
