// The fake kernel's sockets: what all their operations share, and what can be asked of one.
#include "support/fake_kernel.h"

namespace iocp {
namespace fake {

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
    if (on->layer)
        complain("an overlapped operation on a socket of a provider that does not reach the port");
    return begin_operation(what, reinterpret_cast<HANDLE>(socket), on->to, socket, overlapped);
}

sys::start_result go_on(operation *started, SOCKET socket, bool skips)
{
    nt_status status = status_success;
    DWORD bytes = 0;
    if (!try_operation(started, find_socket(socket), &status, &bytes))
        return {sys::started::pending, 0, 0};
    if (status == status_success)
        return finish_start(started, status, bytes, 0, skips);
    if (!happens(k().odds.fails_in_call)) {
        end_operation(started, status, bytes, 0);
        return {sys::started::pending, 0, 0};
    }
    int error = status == fate_deleted ? WSAECONNRESET : sys::status_to_error(status); // as Winsock has it in a call
    if (started->what == work::connect)
        find_socket(socket)->level &=
            ~ULONG{sys::afd_connect_failed}; // nothing is under way, which a poll could tell of
    end_in_call(started, status, bytes, 0);
    return {sys::started::failed, error, 0};
}

namespace {

bool try_as_usual(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes)
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
    case work::pipe_accept:
    case work::directory:
    case work::wait:
        break;
    }
    return false;
}

// What it was about to bring is lost, unless the kernel has no memory to bring it: then it keeps what has come.
void spoil(operation *failed, socket_object *socket, nt_status status, DWORD *bytes)
{
    if (failed->what == work::send)
        socket->sent.resize(socket->sent.size() - *bytes);
    *bytes = 0;
    if (failed->what == work::receive && status == fate_shortage)
        socket->inbox.insert(0, failed->received);
    failed->received.clear();
    socket_object *accepted = find_socket(failed->accepted);
    if (failed->what == work::connect)
        socket->connected = false;
    else if (accepted != nullptr)
        accepted->connected = false;
}

} // namespace

bool try_operation(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes)
{
    if (!try_as_usual(waiting, socket, status, bytes))
        return false;
    nt_status usual = *status;
    *status = status_after_all(usual);
    if (*status != usual)
        spoil(waiting, socket, *status, bytes);
    return true;
}

bool is_on_port(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->to.port != nullptr;
}

bool is_whole(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->connected && found->whole;
}

bool never_blocks(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->never_blocks;
}

bool sending_has_ended(SOCKET socket)
{
    return find_socket(socket)->sending_ended;
}

const closed_socket &last_closed()
{
    return k().last_closed;
}

void set_never_blocks(SOCKET socket, bool never_blocks)
{
    find_socket(socket)->never_blocks = never_blocks;
}

bool is_inherited(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->inherited;
}

size_t sockets_inherited()
{
    size_t count = 0;
    for (const auto &entry : k().sockets)
        count += entry.second.inherited;
    return count;
}

} // namespace fake

namespace sys {

using namespace fake;

bool has_ifs_handle(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && !found->layer;
}

int leave_port(SOCKET socket)
{
    int error = enter(call::leave_port);
    socket_object *found = find_socket(socket);
    auto file = k().files.find(reinterpret_cast<HANDLE>(socket));
    if (error == 0 && found == nullptr && file != k().files.end()) {
        file->second.to.port = nullptr;
        return 0;
    }
    if (error != 0 || found == nullptr)
        return error != 0 ? error : WSAENOTSOCK;
    for (const auto &entry : k().operations)
        if (entry.second.file == reinterpret_cast<HANDLE>(socket) && entry.second.serial > found->serial)
            complain("a socket is taken off its port while an operation is in flight");
    found->to.port = nullptr;
    return 0;
}

// The peer's name is what tells, and only a whole connection has one.
bool is_connected(SOCKET socket)
{
    return is_whole(socket);
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

bool is_listening(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->which == kind::listener;
}

namespace {

BOOL WINAPI no_accept_ex(SOCKET, SOCKET, PVOID, DWORD, DWORD, DWORD, LPDWORD, LPOVERLAPPED)
{
    return FALSE;
}

BOOL WINAPI no_connect_ex(SOCKET, const struct sockaddr *, int, PVOID, DWORD, LPDWORD, LPOVERLAPPED)
{
    return FALSE;
}

void WINAPI no_addresses(PVOID, DWORD, DWORD, DWORD, LPSOCKADDR *, LPINT, LPSOCKADDR *, LPINT)
{
}

} // namespace

// Asked only whether they are there.
bool find_extensions(LPFN_ACCEPTEX *accept_ex, LPFN_CONNECTEX *connect_ex, LPFN_GETACCEPTEXSOCKADDRS *addresses)
{
    *accept_ex = nullptr;
    *connect_ex = nullptr;
    *addresses = nullptr;
    if (enter(call::find_extensions) != 0)
        return false;
    *accept_ex = no_accept_ex;
    *connect_ex = no_connect_ex;
    *addresses = no_addresses;
    return true;
}

int kind_of(SOCKET, socket_kind *kind)
{
    *kind = {AF_INET, SOCK_STREAM, IPPROTO_TCP};
    return 0;
}

int socket_like(const socket_kind &, SOCKET *socket)
{
    int error = enter(call::socket_like);
    if (error != 0)
        return error;
    *socket = open_socket(kind::stream);
    find_socket(*socket)->inherited = false;
    find_socket(*socket)->never_blocks = false;
    return 0;
}

void set_inherited(HANDLE handle, bool inherited)
{
    socket_object *found = find_socket(reinterpret_cast<SOCKET>(handle));
    if (found == nullptr && k().files.count(handle) == 0)
        complain("a handle that is closed is to be inherited, or not");
    if (enter(call::set_inherited) == 0 && found != nullptr)
        found->inherited = inherited;
}

int set_blocking(SOCKET socket, bool blocks)
{
    int error = enter(call::set_blocking);
    socket_object *found = find_socket(socket);
    if (error == 0 && found != nullptr)
        found->never_blocks = !blocks;
    return error;
}

int close_socket(SOCKET socket)
{
    const socket_object *closing = find_socket(socket);
    if (closing == nullptr)
        return WSAENOTSOCK;
    if (closing->waits_when_closed && closing->never_blocks && closing->read_by_peer < closing->sent.size())
        return WSAEWOULDBLOCK;
    if (k().held_to.close_over_operation && is_closed_over_operation(socket))
        complain("a socket is closed over an operation: its peer loses what it has not read");
    close_by_program(socket);
    return 0;
}

} // namespace sys
} // namespace iocp
