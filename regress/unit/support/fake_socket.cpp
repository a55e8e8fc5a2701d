// The fake kernel's transfers: receive, send, connect, accept, with bytes.
#include "support/fake_kernel.h"

#include <string.h>

#include "support/guard.h"

namespace iocp {
namespace fake {

namespace {

size_t capacity(const std::vector<WSABUF> &buffers)
{
    size_t total = 0;
    for (const WSABUF &buffer : buffers)
        total += buffer.len;
    return total;
}

size_t short_of(size_t length)
{
    if (length > 1 && happens(k().odds.short_transfer))
        return 1 + random() % (length - 1);
    return length;
}

// Moves received bytes into the caller's buffers.
DWORD take_received(socket_object *socket, const std::vector<WSABUF> &buffers)
{
    size_t room = capacity(buffers);
    size_t length = short_of(room < socket->inbox.size() ? room : socket->inbox.size());
    size_t done = 0;
    for (const WSABUF &buffer : buffers) {
        size_t part = buffer.len < length - done ? buffer.len : length - done;
        if (part == 0)
            continue;
        if (!guard::is_live(buffer.buf, part))
            complain("a receive into memory that was freed");
        else
            memcpy(buffer.buf, socket->inbox.data() + done, part);
        done += part;
    }
    socket->inbox.erase(0, done);
    return static_cast<DWORD>(done);
}

bool try_receive(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes)
{
    if (socket->reset) {
        *status = status_connection_reset;
        return true;
    }
    if (socket->inbox.empty() && !socket->finished)
        return false;
    *bytes = take_received(socket, waiting->buffers);
    return true;
}

bool try_send(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes)
{
    if (socket->reset) {
        *status = status_connection_reset;
        return true;
    }
    if (socket->send_room == 0)
        return false;
    // A stream's overlapped send takes all of it, however long that takes.
    for (const WSABUF &buffer : waiting->buffers)
        socket->sent.append(buffer.buf, buffer.len);
    size_t length = capacity(waiting->buffers);
    if (socket->send_room != SIZE_MAX)
        socket->send_room = length < socket->send_room ? socket->send_room - length : 0;
    *bytes = static_cast<DWORD>(length);
    return true;
}

bool try_connect(operation *waiting, socket_object *socket, nt_status *status)
{
    *status = waiting->planned;
    if (*status == status_pending)
        return false;
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
        accepted->connected = true;
        accepted->connected_at = k().now;
        accepted->inbox = listener->backlog.front();
        listener->backlog.pop_front();
        waiting->has_client = true;
        k().last_accepted = waiting->accepted;
    }
    if (accepted->reset)
        *status = status_connection_reset;
    if (waiting->data_length == 0 || accepted->reset)
        return true;
    if (accepted->inbox.empty() && !accepted->finished)
        return false;
    *bytes = take_received(accepted, {{waiting->data_length, waiting->buffers[0].buf}});
    return true;
}

// The socket's own operations, and the accept that it was given to.
void go_on_with(SOCKET socket)
{
    progress(socket);
    for (const auto &entry : k().operations)
        if (entry.second.what == work::accept && entry.second.accepted == socket) {
            progress(entry.second.socket);
            return;
        }
}

// The part that all starts share: the socket is there, and nothing was told to fail.
int check_start(call which, SOCKET socket)
{
    int error = enter(which);
    if (error != 0)
        return error;
    if (happens(k().odds.shortage))
        return WSAENOBUFS;
    return find_socket(socket) != nullptr ? 0 : WSAENOTSOCK;
}

operation *begin_on(work what, SOCKET socket, OVERLAPPED *overlapped)
{
    socket_object *on = find_socket(socket);
    return begin_operation(what, reinterpret_cast<HANDLE>(socket), on->to, socket, overlapped);
}

sys::start_result go_on(operation *started, SOCKET socket, bool skips)
{
    nt_status status = status_success;
    DWORD bytes = 0;
    if (!try_transfer(started, find_socket(socket), &status, &bytes))
        return {sys::started::pending, 0, 0};
    if (status == status_success)
        return finish_start(started, status, bytes, 0, skips);
    end_operation(started, status, bytes, 0);
    return {sys::started::pending, 0, 0};
}

} // namespace

bool try_transfer(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes)
{
    switch (waiting->what) {
    case work::receive:
        return try_receive(waiting, socket, status, bytes);
    case work::send:
        return try_send(waiting, socket, status, bytes);
    case work::connect:
        return try_connect(waiting, socket, status);
    case work::accept:
        return try_accept(waiting, socket, status, bytes);
    case work::poll:
        break;
    }
    return false;
}

void connect_now(SOCKET socket)
{
    find_socket(socket)->connected = true;
    go_on_with(socket);
}

void peer_sends(SOCKET socket, const std::string &bytes)
{
    find_socket(socket)->inbox += bytes;
    go_on_with(socket);
}

void peer_finishes(SOCKET socket)
{
    find_socket(socket)->finished = true;
    go_on_with(socket);
}

void peer_resets(SOCKET socket)
{
    find_socket(socket)->reset = true;
    go_on_with(socket);
}

const std::string &sent(SOCKET socket)
{
    return find_socket(socket)->sent;
}

void set_send_room(SOCKET socket, size_t bytes)
{
    find_socket(socket)->send_room = bytes;
    progress(socket);
}

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

SOCKET client_arrives(SOCKET listener, const std::string &first_bytes)
{
    k().last_accepted = INVALID_SOCKET;
    find_socket(listener)->backlog.push_back(first_bytes);
    progress(listener);
    return k().last_accepted;
}

} // namespace fake

namespace sys {

using namespace fake;

bool has_ifs_handle(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && !found->layer;
}

start_result receive(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::receive, socket);
    if (error != 0)
        return {started::failed, error, 0};
    operation *begun = begin_on(work::receive, socket, overlapped);
    begun->buffers.assign(buffers, buffers + count);
    return go_on(begun, socket, skips);
}

start_result send(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::send, socket);
    if (error != 0)
        return {started::failed, error, 0};
    operation *begun = begin_on(work::send, socket, overlapped);
    begun->buffers.assign(buffers, buffers + count);
    return go_on(begun, socket, skips);
}

int receive_now(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes)
{
    *bytes = 0;
    int error = check_start(call::receive_now, socket);
    if (error != 0)
        return error;
    socket_object *on = find_socket(socket);
    if (on->reset)
        return WSAECONNRESET;
    if (on->inbox.empty())
        return on->finished ? 0 : WSAEWOULDBLOCK;
    *bytes = take_received(on, std::vector<WSABUF>(buffers, buffers + count));
    return 0;
}

start_result connect(SOCKET socket, const struct sockaddr *, int, OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::connect, socket);
    if (error != 0)
        return {started::failed, error, 0};
    operation *begun = begin_on(work::connect, socket, overlapped);
    begun->planned = k().connect_result;
    return go_on(begun, socket, skips);
}

int bind_any(SOCKET, int)
{
    return enter(call::bind_any);
}

int finish_connect(SOCKET)
{
    return enter(call::finish_connect);
}

start_result accept(SOCKET listener, SOCKET socket, void *buffer, DWORD data_length, DWORD address_length,
                    OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::accept, listener);
    if (error != 0)
        return {started::failed, error, 0};
    operation *begun = begin_on(work::accept, listener, overlapped);
    begun->buffers.push_back({data_length + 2 * address_length, static_cast<char *>(buffer)});
    begun->data_length = data_length;
    begun->accepted = socket;
    return go_on(begun, listener, skips);
}

int finish_accept(SOCKET, SOCKET)
{
    return enter(call::finish_accept);
}

void accept_addresses(SOCKET, void *buffer, DWORD data_length, DWORD, struct sockaddr **local, int *local_length,
                      struct sockaddr **remote, int *remote_length)
{
    struct sockaddr_in loopback = {};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *place = static_cast<char *>(buffer) + data_length;
    memcpy(place, &loopback, sizeof(loopback));
    *local = *remote = reinterpret_cast<struct sockaddr *>(place);
    *local_length = *remote_length = static_cast<int>(sizeof(loopback));
}

bool is_connected(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->connected;
}

bool connected_for(SOCKET socket, uint32_t *seconds)
{
    const socket_object *found = find_socket(socket);
    *seconds = 0;
    if (found == nullptr || !found->connected)
        return false;
    *seconds = static_cast<uint32_t>((k().now - found->connected_at) / 1000000);
    return true;
}

void end_connection(SOCKET socket)
{
    if (find_socket(socket) != nullptr)
        peer_finishes(socket);
}

bool is_listening(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->which == kind::listener;
}

// Asked only whether they are there.
void find_extensions(LPFN_ACCEPTEX *accept_ex, LPFN_CONNECTEX *connect_ex, LPFN_GETACCEPTEXSOCKADDRS *addresses)
{
    *accept_ex = [](SOCKET, SOCKET, PVOID, DWORD, DWORD, DWORD, LPDWORD, LPOVERLAPPED) -> BOOL { return FALSE; };
    *connect_ex = [](SOCKET, const struct sockaddr *, int, PVOID, DWORD, LPDWORD, LPOVERLAPPED) -> BOOL {
        return FALSE;
    };
    *addresses = [](PVOID, DWORD, DWORD, DWORD, LPSOCKADDR *, LPINT, LPSOCKADDR *, LPINT) {};
}

int socket_like(SOCKET, bool, SOCKET *socket)
{
    int error = enter(call::socket_like);
    if (error != 0)
        return error;
    *socket = open_socket(kind::stream);
    return 0;
}

int set_nonblocking(SOCKET)
{
    return enter(call::set_nonblocking);
}

int close_socket(SOCKET socket)
{
    if (find_socket(socket) == nullptr)
        return WSAENOTSOCK;
    close_by_program(socket);
    return 0;
}

} // namespace sys
} // namespace iocp
