#include "upload.h"

#include "tls.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unordered_set>
#include <zlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

namespace {

// Bytes of input or output that a connection may hold.
constexpr size_t held_limit = 256 * 1024;

struct connection {
    bufferevent *bev;
    unsigned long long length; // of the body, from the header
    unsigned long long seen;
    uLong crc;
    bool in_body;
    bool echo;
};

evconnlistener *listener;
ssl_ctx_st *context;
std::unordered_set<connection *> connections;

void close_connection(connection *self)
{
    connections.erase(self);
    bufferevent_free(self->bev);
    delete self;
}

// Reads a request's header, if it is complete. False: there is none yet.
bool read_header(connection *self)
{
    evbuffer *input = bufferevent_get_input(self->bev);
    evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, nullptr);
    if (end.pos < 0)
        return false;
    char header[8192] = "";
    size_t size = static_cast<size_t>(end.pos) + 4;
    if (size >= sizeof(header))
        return false;
    evbuffer_remove(input, header, size);
    const char *length = strstr(header, "Content-Length: ");
    self->length = length ? strtoull(length + strlen("Content-Length: "), nullptr, 10) : 0;
    self->seen = 0;
    self->crc = crc32(0, nullptr, 0);
    self->echo = strncmp(header, "PUT /echo ", 10) == 0;
    self->in_body = true;
    evbuffer *output = bufferevent_get_output(self->bev);
    if (strstr(header, "Expect: 100-continue"))
        evbuffer_add_printf(output, "HTTP/1.1 100 Continue\r\n\r\n");
    if (self->echo)
        evbuffer_add_printf(output, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", self->length);
    return true;
}

// Takes what there is of the body. The chains are looked at where they lie.
void read_body(connection *self)
{
    evbuffer *input = bufferevent_get_input(self->bev);
    unsigned long long left = self->length - self->seen;
    size_t size = evbuffer_get_length(input);
    if (size > left)
        size = static_cast<size_t>(left);
    self->seen += size;
    if (self->echo) {
        evbuffer_remove_buffer(input, bufferevent_get_output(self->bev), size);
        return;
    }
    while (size) {
        evbuffer_iovec piece;
        evbuffer_peek(input, static_cast<ev_ssize_t>(size), nullptr, &piece, 1);
        size_t taken = piece.iov_len < size ? piece.iov_len : size;
        self->crc = crc32(self->crc, static_cast<Bytef *>(piece.iov_base), static_cast<uInt>(taken));
        evbuffer_drain(input, taken);
        size -= taken;
    }
}

void on_read(bufferevent *bev, void *argument)
{
    auto *self = static_cast<connection *>(argument);
    while (self->in_body || read_header(self)) {
        read_body(self);
        if (self->seen < self->length)
            break;
        self->in_body = false;
        if (!self->echo) {
            char answer[64];
            int size = snprintf(answer, sizeof(answer), "%08lx %llu\n", self->crc, self->length);
            evbuffer_add_printf(bufferevent_get_output(bev), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size,
                                answer);
        }
    }
    // A peer that sends without reading its echo has to wait.
    if (evbuffer_get_length(bufferevent_get_output(bev)) > held_limit)
        bufferevent_disable(bev, EV_READ);
}

// The output has been sent.
void on_write(bufferevent *bev, void *)
{
    bufferevent_enable(bev, EV_READ);
}

void on_event(bufferevent *, short what, void *argument)
{
    // TLS tells a server too when the handshake is done.
    if (what != BEV_EVENT_CONNECTED)
        close_connection(static_cast<connection *>(argument));
}

void on_accept(evconnlistener *self, evutil_socket_t fd, sockaddr *, int, void *)
{
    event_base *base = evconnlistener_get_base(self);
    bufferevent *bev =
        context ? tls::accepting(base, fd, context) : bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        evutil_closesocket(fd);
        return;
    }
    auto *added = new connection{bev, 0, 0, 0, false, false};
    connections.insert(added);
    bufferevent_setcb(bev, on_read, on_write, on_event, added);
    bufferevent_setwatermark(bev, EV_READ, 0, held_limit);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

} // namespace

namespace upload {

int listen(event_base *base, ssl_ctx_st *secure)
{
    context = secure;
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = evconnlistener_new_bind(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, -1,
                                       reinterpret_cast<sockaddr *>(&address), sizeof(address));
    if (!listener)
        return 0;
    int size = sizeof(address);
    getsockname(evconnlistener_get_fd(listener), reinterpret_cast<sockaddr *>(&address), &size);
    return ntohs(address.sin_port);
}

void close_all()
{
    evconnlistener_free(listener);
    while (!connections.empty())
        close_connection(*connections.begin());
}

} // namespace upload
