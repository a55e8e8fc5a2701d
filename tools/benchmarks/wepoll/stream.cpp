#include "tools/benchmarks/wepoll/epoll.h"

namespace bench {

namespace {

bool would_block()
{
    return WSAGetLastError() == WSAEWOULDBLOCK;
}

} // namespace

char receive_buffer[receive_size];

int receive_some(SOCKET socket)
{
    int count = recv(socket, receive_buffer, receive_size, 0);
    if (count < 0 && !would_block())
        fail("recv", WSAGetLastError());
    return count;
}

void stream::prepare(epoll *on, SOCKET opened, received_function on_received, void *of)
{
    ready = on_ready;
    context = of;
    socket = opened;
    loop = on;
    received = on_received;
    blocked = false;
    set_nonblocking(socket);
}

void stream::open(epoll *on, SOCKET connected, received_function on_received, void *of)
{
    prepare(on, connected, on_received, of);
    loop->add(this, EPOLLIN);
}

void stream::connect(epoll *on, const sockaddr_in &to, received_function on_received, void *of)
{
    prepare(on, ::socket(AF_INET, SOCK_STREAM, 0), on_received, of);
    if (::connect(socket, reinterpret_cast<const sockaddr *>(&to), sizeof(to)) != 0) {
        if (!would_block())
            fail("connect", WSAGetLastError());
        blocked = true;
    }
    loop->add(this, blocked ? EPOLLOUT : EPOLLIN);
}

// How much of it went.
size_t stream::send_now(WSABUF *pieces, DWORD count)
{
    DWORD sent = 0;
    if (WSASend(socket, pieces, count, &sent, 0, nullptr, nullptr) == 0)
        return sent;
    if (!would_block())
        fail("WSASend", WSAGetLastError());
    return 0;
}

void stream::send(WSABUF *pieces, DWORD count)
{
    size_t sent = blocked ? 0 : send_now(pieces, count);
    for (DWORD i = 0; i < count; ++i) {
        size_t done = sent < pieces[i].len ? sent : pieces[i].len;
        unsent.insert(unsent.end(), pieces[i].buf + done, pieces[i].buf + pieces[i].len);
        sent -= done;
    }
    if (!blocked && !unsent.empty()) {
        blocked = true;
        loop->change(this, EPOLLIN | EPOLLOUT);
    }
}

void stream::send(const char *data, size_t length)
{
    WSABUF piece = {static_cast<ULONG>(length), const_cast<char *>(data)};
    send(&piece, 1);
}

void stream::send_unsent()
{
    WSABUF piece = {static_cast<ULONG>(unsent.size()), unsent.data()};
    size_t sent = unsent.empty() ? 0 : send_now(&piece, 1);
    unsent.erase(unsent.begin(), unsent.begin() + static_cast<ptrdiff_t>(sent));
    blocked = !unsent.empty();
    loop->change(this, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

// A connection that has failed is told of by the call that follows.
void stream::on_ready(watched *on, uint32_t events)
{
    auto *self = static_cast<stream *>(on);
    if (self->blocked && (events & ~EPOLLIN) != 0)
        self->send_unsent();
    if ((events & ~EPOLLOUT) == 0)
        return;
    int count = receive_some(self->socket);
    if (count >= 0)
        self->received(self, receive_buffer, static_cast<size_t>(count));
}

} // namespace bench
