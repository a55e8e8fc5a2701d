#include "peer.h"

#include <string.h>

namespace parity {

namespace {

// How often a call that should succeed at once on the loopback is tried: each try may wait a millisecond.
constexpr int max_tries = 2000;

// A stalled connection's buffers, either side.
constexpr int small_buffer = 32 * 1024;

// Of one family.
struct loopback {
    bool works;
    SOCKET listening;
    SOCKET reserved; // bound, so that nobody else listens on its port
    any_address listening_address;
    any_address reserved_address;
};

loopback ipv4, ipv6;

loopback *of_family(bool is_ipv6)
{
    return is_ipv6 ? &ipv6 : &ipv4;
}

any_address any_port(bool is_ipv6)
{
    any_address address = {};
    auto *in6 = reinterpret_cast<struct sockaddr_in6 *>(&address.storage);
    auto *in4 = reinterpret_cast<struct sockaddr_in *>(&address.storage);
    if (is_ipv6) {
        in6->sin6_family = AF_INET6;
        in6->sin6_addr.s6_addr[15] = 1; // ::1
        address.length = sizeof(*in6);
    } else {
        in4->sin_family = AF_INET;
        in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.length = sizeof(*in4);
    }
    return address;
}

bool bind_local(SOCKET socket, bool is_ipv6, any_address *address)
{
    *address = any_port(is_ipv6);
    return bind(socket, address->get(), address->length) == 0 &&
           getsockname(socket, address->get(), &address->length) == 0;
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

SOCKET accept_one(SOCKET listening)
{
    for (int i = 0; i < max_tries; ++i) {
        SOCKET accepted = accept(listening, nullptr, nullptr);
        if (accepted != INVALID_SOCKET)
            return accepted;
        wait_readable(listening);
    }
    return INVALID_SOCKET;
}

bool start(bool is_ipv6)
{
    loopback *one = of_family(is_ipv6);
    one->listening = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    one->reserved = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    if (!bind_local(one->listening, is_ipv6, &one->listening_address) ||
        !bind_local(one->reserved, is_ipv6, &one->reserved_address))
        return false;
    no_waiting(one->listening);
    one->works = listen(one->listening, SOMAXCONN) == 0;
    return one->works;
}

} // namespace

bool net_start()
{
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return false;
    start(true); // where there is none, has_ipv6 says so
    return start(false);
}

struct sockaddr_in open_address()
{
    return *reinterpret_cast<struct sockaddr_in *>(ipv4.listening_address.get());
}

struct sockaddr_in closed_address()
{
    return *reinterpret_cast<struct sockaddr_in *>(ipv4.reserved_address.get());
}

bool has_ipv6()
{
    return ipv6.works;
}

any_address open_address_of(bool is_ipv6)
{
    return of_family(is_ipv6)->listening_address;
}

any_address closed_address_of(bool is_ipv6)
{
    return of_family(is_ipv6)->reserved_address;
}

const char *loopback_name(bool is_ipv6)
{
    return is_ipv6 ? "::1" : "127.0.0.1";
}

SOCKET raw_socket()
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (made != INVALID_SOCKET)
        no_waiting(made);
    return made;
}

namespace {

bool socket_pair_make(connection *made)
{
    made->near_end = socket(made->ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    any_address to = open_address_of(made->ipv6);
    // The kernel completes it before anybody accepts.
    if (connect(made->near_end, to.get(), to.length) != 0)
        return false;
    no_waiting(made->near_end);
    return connection_accept(made);
}

int socket_send(connection *on, const char *data, int bytes)
{
    return send(on->far_end, data, bytes, 0);
}

int socket_receive(SOCKET end, char *buffer, int room)
{
    return recv(end, buffer, room, 0);
}

void socket_narrow(connection *on)
{
    int size = small_buffer;
    setsockopt(on->far_end, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char *>(&size), sizeof(size));
    setsockopt(on->near_end, SOL_SOCKET, SO_SNDBUF, reinterpret_cast<const char *>(&size), sizeof(size));
}

void socket_close(SOCKET end)
{
    closesocket(end);
}

} // namespace

const carrier by_socket = {socket_pair_make, socket_send, socket_receive, socket_narrow, socket_close};

bool connection_make(connection *made, int id)
{
    made->id = id;
    return made->by->make(made);
}

bool connection_make_as(connection *made, int id, SOCKET number)
{
    constexpr int max_others = 64;
    SOCKET others[max_others];
    int count = 0;
    made->id = id;
    made->ipv6 = false;
    made->near_end = socket(AF_INET, SOCK_STREAM, 0);
    while (made->near_end != number && count < max_others) {
        others[count++] = made->near_end;
        made->near_end = socket(AF_INET, SOCK_STREAM, 0);
    }
    for (int i = 0; i < count; ++i)
        closesocket(others[i]);
    any_address to = open_address_of(false);
    if (made->near_end != number || connect(made->near_end, to.get(), to.length) != 0)
        return false;
    no_waiting(made->near_end);
    return connection_accept(made);
}

bool connection_accept(connection *made)
{
    made->far_end = accept_one(of_family(made->ipv6)->listening);
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
        int sent = part > 0 ? on->by->send(on, data.data() + done, part) : 0;
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

void peer_stall(connection *on)
{
    on->by->narrow(on);
    on->stalled = true;
}

void peer_reset(connection *on)
{
    struct linger at_once = {1, 0};
    setsockopt(on->far_end, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char *>(&at_once), sizeof(at_once));
    closesocket(on->far_end);
    on->far_end = INVALID_SOCKET;
    on->was_reset = true;
}

void peer_leave(connection *on)
{
    on->by->close(on->far_end);
    on->far_end = INVALID_SOCKET;
    on->left = true;
}

bool becomes_writable(SOCKET one)
{
    fd_set writes;
    FD_ZERO(&writes);
    FD_SET(one, &writes);
    struct timeval wait = {0, 60000};
    return select(0, nullptr, &writes, nullptr, &wait) > 0;
}

bool reset_overtakes_bytes()
{
    static int known = -1;
    connection asked = {};
    if (known < 0 && connection_make(&asked, 0)) {
        peer_send(&asked, 1, 1);
        peer_reset(&asked);
        char byte;
        int received = -1;
        for (int i = 0; i < max_tries && received < 0; ++i) {
            wait_readable(asked.near_end);
            received = recv(asked.near_end, &byte, 1, 0);
            if (received < 0 && WSAGetLastError() != WSAEWOULDBLOCK)
                break;
        }
        known = received == 1 ? 0 : 1;
        closesocket(asked.near_end);
    }
    return known == 1;
}

bool peer_receive(connection *on, std::string *got, size_t at_most)
{
    char buffer[max_received];
    int bytes = on->by->receive(on->far_end, buffer, static_cast<int>(at_most));
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

void peer_receive_to_the_end(connection *on, std::string *got)
{
    for (int i = 0; i < max_tries && !on->far_ended; ++i)
        if (!peer_receive(on, got) && !on->far_ended)
            wait_readable(on->far_end);
}

bool near_take_rest(connection *on)
{
    char buffer[16384];
    bool right = true;
    for (int i = 0; i < max_tries && on->read < on->sent; ++i) {
        int bytes = on->by->receive(on->near_end, buffer, sizeof(buffer));
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
