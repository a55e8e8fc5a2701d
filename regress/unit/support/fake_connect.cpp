// The fake kernel's connects and accepts. What ConnectEx or AcceptEx has connected is no whole connection until its
// last step (finish_connect, finish_accept) has been made: it has no peer's name, and carries no bytes.
#include "support/fake_kernel.h"

#include <string.h>

#include "support/fake_pipe_listen.h"
#include "support/guard.h"

namespace iocp {
namespace fake {

namespace {

// Where an address lies in its part of an accept's buffer, behind a mark: not where one might look for it.
constexpr size_t address_offset = 8;
constexpr char address_mark[address_offset] = {'a', 'd', 'd', 'r', 'e', 's', 's', ':'};

// AcceptEx wants this much more than the longest address.
constexpr DWORD address_slack = 16;

void write_address(char *place, uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    memcpy(place, address_mark, address_offset);
    memcpy(place + address_offset, &address, sizeof(address));
}

struct sockaddr *find_address(char *place)
{
    if (memcmp(place, address_mark, address_offset) != 0)
        complain("addresses are looked for where an accept left none");
    return reinterpret_cast<struct sockaddr *>(place + address_offset);
}

// The connect has waited for its outcome long enough.
void conclude(OVERLAPPED *overlapped, uint64_t serial)
{
    auto found = k().operations.find(overlapped);
    if (found == k().operations.end() || found->second.serial != serial || found->second.ended)
        return;
    found->second.on_the_way = false;
    progress(found->second.socket);
}

void take_client(operation *accepting, socket_object *listener, socket_object *accepted)
{
    client next = listener->backlog.front();
    listener->backlog.pop_front();
    accepting->has_client = true;
    accepting->planned = next.fate;
    accepted->connected = next.fate == fate_taken;
    accepted->connected_at = k().now;
    accepted->listener = accepting->socket;
    accepted->peer_port = next.port;
    accepted->inbox = next.first_bytes;
}

} // namespace

struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void write_addresses(const operation &accepting)
{
    const socket_object *accepted = find_socket(accepting.accepted);
    char *place = accepting.buffers[0].buf + accepting.data_length;
    write_address(place, 0);
    write_address(place + accepting.address_length, accepted != nullptr ? accepted->peer_port : 0);
}

bool try_connect(operation *waiting, socket_object *socket, nt_status *status)
{
    *status = waiting->planned;
    if (*status == status_pending || waiting->on_the_way)
        return false;
    socket->connected_at = k().now;
    if (*status == status_success)
        socket->connected = true;
    else
        socket->level |= sys::afd_connect_failed;
    return true;
}

// With room for first data, the client is taken from the queue first, and the operation ends when its data has come.
bool try_accept(operation *waiting, socket_object *listener, nt_status *status, DWORD *bytes)
{
    socket_object *accepted = find_socket(waiting->accepted);
    if (accepted == nullptr)
        return false;
    if (!waiting->has_client) {
        if (listener->backlog.empty())
            return false;
        take_client(waiting, listener, accepted);
    }
    *status = accepted->reset ? status_connection_reset : waiting->planned;
    if (waiting->data_length == 0 || *status != status_success)
        return true;
    if (accepted->inbox.empty() && !accepted->finished)
        return false;
    waiting->received = take_received(accepted, waiting->data_length);
    *bytes = static_cast<DWORD>(waiting->received.size());
    return true;
}

// It is there as soon as it is taken.
int take_connection(SOCKET listener, SOCKET *taken)
{
    client next = find_socket(listener)->backlog.front();
    find_socket(listener)->backlog.pop_front();
    int error = sys::status_to_error(next.fate);
    if (error != 0)
        return next.fate == fate_deleted ? WSAECONNABORTED : error;
    *taken = open_socket(kind::stream);
    socket_object *accepted = find_socket(*taken);
    accepted->never_blocks = never_blocks(listener);
    accepted->listener = listener;
    accepted->peer_port = next.port;
    accepted->inbox = next.first_bytes;
    connect_now(*taken);
    return 0;
}

// Of those in flight that have no outcome yet.
void set_connect_result(nt_status status)
{
    k().connect_result = status;
    std::vector<operation *> waiting;
    for (auto &entry : k().operations)
        if (entry.second.what == work::connect && entry.second.planned == status_pending && !entry.second.ended)
            waiting.push_back(&entry.second);
    for (operation *decided : waiting) {
        decided->planned = status;
        progress(decided->socket);
    }
}

void client_arrives(SOCKET listener, const client &who)
{
    socket_object *to = find_socket(listener);
    to->clients_coming.push_back(who);
    uint64_t serial = to->serial;
    if (!comes_later([=] { arrive(listener, serial); }))
        arrive(listener, serial);
}

SOCKET socket_of_client(uint16_t port)
{
    for (const auto &entry : k().sockets)
        if (entry.second.peer_port == port && entry.second.connected)
            return entry.first;
    return INVALID_SOCKET;
}

size_t accepts_waiting(SOCKET listener)
{
    size_t count = 0;
    for (const auto &entry : k().operations)
        count += entry.second.what == work::accept && entry.second.socket == listener && !entry.second.ended;
    return count;
}

size_t clients_waiting(SOCKET listener)
{
    const socket_object *found = find_socket(listener);
    return found->backlog.size() + found->clients_coming.size();
}

bool bring_about(operation *cancelled)
{
    if (cancelled->what == work::poll) {
        end_operation(cancelled, status_success, 0, cancelled->asked & (0 - cancelled->asked));
        return true;
    }
    if (cancelled->what == work::pipe_accept)
        return client_is_let_in(cancelled->file);
    if (cancelled->what == work::directory)
        return bring_about_change(cancelled);
    socket_object *on = find_socket(cancelled->socket);
    if (on == nullptr)
        return bring_about_file(cancelled);
    if (cancelled->what == work::connect) {
        cancelled->on_the_way = false;
        progress(cancelled->socket);
    } else if (cancelled->what == work::send) {
        on->send_room = capacity(cancelled->buffers);
        progress(cancelled->socket);
    } else if (cancelled->what != work::accept || cancelled->data_length == 0) {
        // (An accept with room for data would take a client, and be cancelled before its data.)
        arrive(cancelled->socket, on->serial);
    }
    const socket_object *accepted = find_socket(cancelled->accepted);
    if (!cancelled->ended && accepted != nullptr)
        arrive(cancelled->accepted, accepted->serial);
    return cancelled->ended;
}

} // namespace fake

namespace sys {

using namespace fake;

start_result connect(SOCKET socket, const struct sockaddr *, int, OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::connect, socket);
    if (error == 0 && !find_socket(socket)->bound) {
        complain("ConnectEx on a socket that is not bound");
        error = WSAEINVAL;
    }
    if (error != 0)
        return {started::failed, error, 0};
    operation *begun = begin_on(work::connect, socket, overlapped);
    begun->planned = k().connect_result;
    uint64_t serial = begun->serial;
    begun->on_the_way = comes_later([=] { conclude(overlapped, serial); });
    if (!begun->on_the_way && begun->planned == status_refused && k().held_to.refused_late && happens(500)) {
        begun->on_the_way = true;
        at(k().now + refusal_us, [=] { conclude(overlapped, serial); });
    }
    return go_on(begun, socket, skips);
}

int bind_any(SOCKET socket, int)
{
    int error = enter(call::bind_any);
    socket_object *found = find_socket(socket);
    if (error != 0 || found == nullptr)
        return error != 0 ? error : WSAENOTSOCK;
    found->bound = true;
    return 0;
}

int finish_connect(SOCKET socket)
{
    int error = enter(call::finish_connect);
    socket_object *found = find_socket(socket);
    if (error != 0 || found == nullptr)
        return error != 0 ? error : WSAENOTSOCK;
    if (!found->connected)
        return WSAENOTCONN;
    found->whole = true;
    return 0;
}

start_result accept(SOCKET listener, SOCKET socket, void *buffer, DWORD data_length, DWORD address_length,
                    OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::accept, listener);
    if (error != 0)
        return {started::failed, error, 0};
    const socket_object *accepted = find_socket(socket);
    if (accepted == nullptr || accepted->connected || accepted->listener != INVALID_SOCKET)
        complain("AcceptEx is given a socket that is closed, or was used before");
    if (address_length < sizeof(struct sockaddr_in6) + address_slack)
        complain("AcceptEx has too little room for the addresses");
    operation *begun = begin_on(work::accept, listener, overlapped);
    begun->buffers.push_back({data_length + 2 * address_length, static_cast<char *>(buffer)});
    begun->data_length = data_length;
    begun->address_length = address_length;
    begun->accepted = socket;
    if (!memory_is_live(*begun))
        complain("an accept in memory that is not allocated");
    return go_on(begun, listener, skips);
}

int finish_accept(SOCKET listener, SOCKET socket)
{
    int error = enter(call::finish_accept);
    socket_object *found = find_socket(socket);
    if (error != 0 || found == nullptr)
        return error != 0 ? error : WSAENOTSOCK;
    if (found->listener != listener) {
        complain("an accepted socket is finished for a listener that is not its own");
        return WSAEINVAL;
    }
    if (!found->connected || found->reset)
        return WSAENOTCONN;
    found->whole = true;
    if (happens(500)) // Microsoft does not say whether it does
        found->never_blocks = never_blocks(listener);
    return 0;
}

// Accepts in flight come first: with one that waits, the backlog is empty.
int accept_now(SOCKET listener, SOCKET *accepted, struct sockaddr *address, int *length)
{
    *accepted = INVALID_SOCKET;
    int error = check_start(call::accept_now, listener);
    if (error != 0)
        return error;
    if (find_socket(listener)->backlog.empty()) {
        if (!never_blocks(listener))
            complain("accept() waits for a connection");
        return WSAEWOULDBLOCK;
    }
    error = take_connection(listener, accepted);
    if (error != 0)
        return error;
    socket_object *taken = find_socket(*accepted);
    taken->never_blocks = never_blocks(listener);
    struct sockaddr_in peer = loopback(taken->peer_port);
    if (*length < static_cast<int>(sizeof(peer)))
        complain("accept() has too little room for the address");
    else
        memcpy(address, &peer, sizeof(peer));
    *length = static_cast<int>(sizeof(peer));
    return 0;
}

uint32_t connection_mark(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->whole ? static_cast<uint32_t>(found->serial) : 0;
}

int peer_address(SOCKET socket, struct sockaddr *address, int *length)
{
    const socket_object *found = find_socket(socket);
    if (found == nullptr || !found->whole)
        return WSAENOTCONN;
    struct sockaddr_in peer = loopback(found->peer_port);
    memcpy(address, &peer, sizeof(peer));
    *length = static_cast<int>(sizeof(peer));
    return 0;
}

void accept_addresses(SOCKET, void *buffer, DWORD data_length, DWORD address_length, struct sockaddr **local,
                      int *local_length, struct sockaddr **remote, int *remote_length)
{
    *local = *remote = nullptr;
    *local_length = *remote_length = 0;
    if (enter(call::accept_addresses) != 0)
        return;
    auto *place = static_cast<char *>(buffer) + data_length;
    *local = find_address(place);
    *remote = find_address(place + address_length);
    *local_length = *remote_length = static_cast<int>(sizeof(struct sockaddr_in));
}

} // namespace sys
} // namespace iocp
