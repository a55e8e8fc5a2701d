#include "tools/benchmarks/wepoll/waker_socket.h"

namespace bench {

void waker_socket::open(epoll *loop, void (*function)(void *), void *argument)
{
    socket_pair pair;
    connect_pair(&pair);
    set_nonblocking(pair.client);
    set_nonblocking(pair.server);
    sender = pair.client;
    ready = on_ready;
    context = argument;
    socket = pair.server;
    woken = function;
    loop->add(this, EPOLLIN);
}

// A socket that takes no more has bytes enough to be woken by.
void waker_socket::wake()
{
    if (send(sender, "", 1, 0) != 1 && WSAGetLastError() != WSAEWOULDBLOCK)
        fail("send", WSAGetLastError());
}

void waker_socket::on_ready(watched *on, uint32_t)
{
    auto *self = static_cast<waker_socket *>(on);
    char bytes[64]; // not the shared buffer: each of two loops has a thread
    if (recv(self->socket, bytes, sizeof(bytes), 0) <= 0)
        fail("recv", WSAGetLastError());
    self->woken(self->context);
}

} // namespace bench
