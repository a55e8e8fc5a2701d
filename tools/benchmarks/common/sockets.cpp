#include "tools/benchmarks/common/bench.h"

#include <string.h>

#include <vector>

namespace bench {

namespace {

std::vector<char> message;

// One listener for all pairs, made at the first.
SOCKET listener = INVALID_SOCKET;
sockaddr_in address;

void listen_once()
{
    if (listener != INVALID_SOCKET)
        return;
    address = loopback(0);
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    int length = sizeof(address);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == INVALID_SOCKET || bind(listener, generic, length) != 0 || listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, generic, &length) != 0)
        fail("no listener", WSAGetLastError());
}

} // namespace

sockaddr_in loopback(unsigned short port)
{
    sockaddr_in result = {};
    result.sin_family = AF_INET;
    result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result.sin_port = htons(port);
    return result;
}

void set_no_delay(SOCKET socket)
{
    BOOL on = TRUE;
    if (setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char *>(&on), sizeof(on)) != 0)
        fail("TCP_NODELAY", WSAGetLastError());
}

void set_nonblocking(SOCKET socket)
{
    u_long on = 1;
    if (ioctlsocket(socket, static_cast<long>(FIONBIO), &on) != 0)
        fail("FIONBIO", WSAGetLastError());
}

void connect_pair(socket_pair *pair)
{
    listen_once();
    pair->client = socket(AF_INET, SOCK_STREAM, 0);
    if (pair->client == INVALID_SOCKET ||
        connect(pair->client, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)
        fail("connect", WSAGetLastError());
    pair->server = accept(listener, nullptr, nullptr);
    if (pair->server == INVALID_SOCKET)
        fail("accept", WSAGetLastError());
    set_no_delay(pair->client);
    set_no_delay(pair->server);
}

void prepare_message(const scenario &what)
{
    std::vector<char> piece(what.size);
    unsigned state = 12345;
    for (char &byte : piece) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<char>(state >> 24);
    }
    message.clear();
    for (int i = 0; i < what.pieces; ++i)
        message.insert(message.end(), piece.begin(), piece.end());
}

const char *message_bytes()
{
    return message.data();
}

int message_check::take(const char *data, size_t length)
{
    int complete = 0;
    while (length > 0) {
        size_t part = message.size() - offset < length ? message.size() - offset : length;
        if (memcmp(data, message.data() + offset, part) != 0)
            fail("wrong bytes were received", 0);
        data += part;
        length -= part;
        offset += part;
        if (offset == message.size()) {
            offset = 0;
            ++complete;
        }
    }
    return complete;
}

} // namespace bench
