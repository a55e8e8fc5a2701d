#include "tools/benchmarks/native/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace native {

namespace {

constexpr size_t buffer_size = 64 * 1024;

[[noreturn]] void fail_tls(const char *what, int error)
{
    unsigned long code = ERR_get_error();
    fail("%s: %s", what,
         code != 0                        ? ERR_reason_error_string(code)
         : error == SSL_ERROR_ZERO_RETURN ? "the server has ended TLS"
                                          : "the connection has ended");
}

bool wants_more(int error)
{
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

} // namespace

void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    printf("failed: ");
    vprintf(format, values);
    printf("\n");
    va_end(values);
    fflush(stdout);
    _exit(1);
}

uint64_t now_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

connection::connection(int poll, int port, SSL_CTX *context, std::unique_ptr<exchange> spoken)
    : speech(std::move(spoken))
{
    socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket < 0)
        fail("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (connect(socket, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    if (context != nullptr) {
        tls = SSL_new(context);
        if (tls == nullptr || SSL_set_fd(tls, socket) != 1)
            fail("no TLS");
        SSL_set_connect_state(tls);
    }
    // Told of each change once, so that no call is made but those that move bytes.
    epoll_event wanted = {};
    wanted.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    wanted.data.ptr = this;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, socket, &wanted) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

connection::~connection()
{
    if (tls != nullptr) {
        SSL_shutdown(tls);
        SSL_free(tls);
    }
    close(socket);
}

void connection::ask(uint64_t due)
{
    if (at != stage::idle)
        fail("a request on a connection that is busy");
    asked_from = due;
    request = &speech->next_request();
    sent = 0;
    at = stage::asking;
    send_rest();
}

bool connection::proceed()
{
    switch (at) {
    case stage::connecting:
        return finish_connect();
    case stage::shaking_hands:
        return shake_hands();
    case stage::asking:
        send_rest();
        break;
    case stage::idle:
        break;
    }
    return receive();
}

bool connection::finish_connect()
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0)
        fail("connect: %s", strerror(error != 0 ? error : errno));
    sockaddr_in peer;
    length = sizeof(peer);
    if (getpeername(socket, reinterpret_cast<sockaddr *>(&peer), &length) != 0)
        return false; // epoll tells of a socket that has not begun to connect, too
    at = tls != nullptr ? stage::shaking_hands : stage::idle;
    return tls == nullptr || shake_hands();
}

bool connection::shake_hands()
{
    ERR_clear_error();
    int done = SSL_do_handshake(tls);
    if (done == 1) {
        at = stage::idle;
        return true;
    }
    int error = SSL_get_error(tls, done);
    if (!wants_more(error))
        fail_tls("the TLS handshake", error);
    return false;
}

void connection::send_rest()
{
    while (sent < request->size()) {
        size_t count = send_some(request->data() + sent, request->size() - sent);
        if (count == 0)
            return;
        sent += count;
    }
}

size_t connection::send_some(const char *data, size_t length)
{
    if (tls == nullptr) {
        ssize_t count = send(socket, data, length, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN)
            fail("send: %s", strerror(errno));
        return count < 0 ? 0 : static_cast<size_t>(count);
    }
    ERR_clear_error();
    int count = SSL_write(tls, data, static_cast<int>(length));
    if (count > 0)
        return static_cast<size_t>(count);
    int error = SSL_get_error(tls, count);
    if (!wants_more(error))
        fail_tls("SSL_write", error);
    return 0;
}

size_t connection::receive_some(char *data, size_t length)
{
    if (tls == nullptr) {
        ssize_t count = recv(socket, data, length, 0);
        if (count == 0)
            fail("the server has ended a connection");
        if (count < 0 && errno != EAGAIN)
            fail("recv: %s", strerror(errno));
        return count < 0 ? 0 : static_cast<size_t>(count);
    }
    ERR_clear_error();
    int count = SSL_read(tls, data, static_cast<int>(length));
    if (count > 0)
        return static_cast<size_t>(count);
    int error = SSL_get_error(tls, count);
    if (!wants_more(error))
        fail_tls("SSL_read", error);
    return 0;
}

// To the end of what is there: epoll does not tell of the rest again.
bool connection::receive()
{
    static char buffer[buffer_size];
    bool answered = false;
    while (size_t count = receive_some(buffer, sizeof(buffer))) {
        if (at != stage::asking)
            fail("%zu bytes that nobody has asked for", count);
        switch (speech->take(buffer, count)) {
        case taken::wrong:
            fail("a wrong answer: %s", speech->complaint().c_str());
        case taken::all:
            at = stage::idle;
            answered_at = now_ns();
            answered = true;
            break;
        case taken::part:
            break;
        }
    }
    return answered;
}

} // namespace native
