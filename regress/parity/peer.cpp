#include "peer.h"

#include <string.h>

namespace parity {

namespace {

// How often a call that should succeed at once on the loopback is tried: each try may wait a millisecond.
constexpr int max_tries = 2000;

SOCKET listening = INVALID_SOCKET;
SOCKET reserved = INVALID_SOCKET; // bound, so that nobody else listens on its port
struct sockaddr_in listening_address;
struct sockaddr_in reserved_address;

bool bind_local(SOCKET socket, struct sockaddr_in *address)
{
    memset(address, 0, sizeof(*address));
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length = sizeof(*address);
    return bind(socket, reinterpret_cast<struct sockaddr *>(address), length) == 0 &&
           getsockname(socket, reinterpret_cast<struct sockaddr *>(address), &length) == 0;
}

void no_waiting(SOCKET socket)
{
    u_long on = 1;
    ioctlsocket(socket, FIONBIO, &on);
    BOOL no_delay = TRUE;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char *>(&no_delay), sizeof(no_delay));
}

void wait_readable(SOCKET socket)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(socket, &set);
    struct timeval millisecond = {0, 1000};
    select(0, &set, nullptr, nullptr, &millisecond);
}

SOCKET accept_one()
{
    for (int i = 0; i < max_tries; ++i) {
        SOCKET accepted = accept(listening, nullptr, nullptr);
        if (accepted != INVALID_SOCKET)
            return accepted;
        wait_readable(listening);
    }
    return INVALID_SOCKET;
}

} // namespace

bool net_start()
{
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return false;
    listening = socket(AF_INET, SOCK_STREAM, 0);
    reserved = socket(AF_INET, SOCK_STREAM, 0);
    if (!bind_local(listening, &listening_address) || !bind_local(reserved, &reserved_address))
        return false;
    no_waiting(listening);
    return listen(listening, SOMAXCONN) == 0;
}

struct sockaddr_in open_address()
{
    return listening_address;
}

struct sockaddr_in closed_address()
{
    return reserved_address;
}

SOCKET raw_socket()
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (made != INVALID_SOCKET)
        no_waiting(made);
    return made;
}

bool connection_make(connection *made, int id)
{
    made->id = id;
    made->near_end = socket(AF_INET, SOCK_STREAM, 0);
    // The kernel completes it before anybody accepts.
    if (connect(made->near_end, reinterpret_cast<struct sockaddr *>(&listening_address), sizeof(listening_address)) !=
        0)
        return false;
    no_waiting(made->near_end);
    return connection_accept(made);
}

bool connection_accept(connection *made)
{
    made->far_end = accept_one();
    if (made->far_end == INVALID_SOCKET)
        return false;
    no_waiting(made->far_end);
    return true;
}

void peer_send(connection *on, int bytes, int fragments)
{
    if (on->sent + static_cast<size_t>(bytes) > max_sent)
        return;
    std::string data(static_cast<size_t>(bytes), '\0');
    for (int i = 0; i < bytes; ++i)
        data[static_cast<size_t>(i)] = stream_byte(on->id, on->sent + static_cast<size_t>(i));
    int done = 0;
    for (int i = 0; i < fragments; ++i) {
        int part = i + 1 == fragments ? bytes - done : bytes / fragments;
        int sent = part > 0 ? send(on->far_end, data.data() + done, part, 0) : 0;
        if (sent > 0)
            done += sent;
    }
    on->sent += static_cast<size_t>(done);
}

void peer_finish(connection *on)
{
    shutdown(on->far_end, SD_SEND);
    on->finished = true;
}

void peer_reset(connection *on)
{
    struct linger at_once = {1, 0};
    setsockopt(on->far_end, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char *>(&at_once), sizeof(at_once));
    closesocket(on->far_end);
    on->far_end = INVALID_SOCKET;
    on->was_reset = true;
}

bool peer_receive(connection *on, std::string *got)
{
    char buffer[16384];
    int bytes = recv(on->far_end, buffer, sizeof(buffer), 0);
    if (bytes > 0) {
        got->append(buffer, static_cast<size_t>(bytes));
        on->received += static_cast<size_t>(bytes);
    } else if (bytes == 0) {
        on->far_ended = true;
    } else if (WSAGetLastError() != WSAEWOULDBLOCK) {
        on->far_ended = on->far_reset = true;
    }
    return bytes > 0;
}

bool near_take_rest(connection *on)
{
    char buffer[16384];
    bool right = true;
    for (int i = 0; i < max_tries && on->read < on->sent; ++i) {
        int bytes = recv(on->near_end, buffer, sizeof(buffer), 0);
        if (bytes <= 0)
            break;
        for (int k = 0; k < bytes; ++k)
            right = right && buffer[k] == stream_byte(on->id, on->read + static_cast<size_t>(k));
        on->read += static_cast<size_t>(bytes);
    }
    return right;
}

char stream_byte(int id, size_t index)
{
    return static_cast<char>(static_cast<size_t>(id) * 101 + index * 7 + (index >> 8) * 3);
}

} // namespace parity
