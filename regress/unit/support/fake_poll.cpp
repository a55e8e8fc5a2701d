// The fake kernel's AFD driver, and what holds for a socket.
#include "support/fake_kernel.h"

#include "support/guard.h"

namespace iocp {
namespace fake {

namespace {

SOCKET free_number()
{
    SOCKET number = first_socket;
    for (const auto &entry : k().sockets) {
        if (entry.first != number)
            break;
        number += 4;
    }
    return number;
}

// The socket that AFD knows by this handle.
socket_object *find_for_afd(SOCKET handle, SOCKET *number)
{
    *number = handle;
    socket_object *found = find_socket(handle);
    if (found == nullptr)
        return nullptr;
    if (!found->base_of_layer)
        return found->layer ? nullptr : found;
    for (auto &entry : k().sockets)
        if (entry.second.layer && entry.second.base == handle) {
            *number = entry.first;
            return &entry.second;
        }
    return nullptr;
}

SOCKET add_socket(kind which, ULONG level)
{
    SOCKET number = free_number();
    socket_object &added = k().sockets[number];
    added = socket_object();
    added.which = which;
    added.level = level;
    added.base = number;
    added.serial = new_serial();
    added.listener = INVALID_SOCKET;
    added.send_room = SIZE_MAX;
    added.inherited = true;
    added.never_blocks = which != kind::listener; // as libevent wants them; a test of blocking ones says so
    return number;
}

// Sends and receives are cancelled, says Microsoft of closesocket; what AFD has begun by then ends by the disconnect.
nt_status status_after_close(work what)
{
    return what == work::poll || happens(500) ? status_cancelled : status_local_disconnect;
}

} // namespace

socket_object *find_socket(SOCKET socket)
{
    auto found = k().sockets.find(socket);
    return found != k().sockets.end() ? &found->second : nullptr;
}

ULONG current_level(const socket_object &socket)
{
    ULONG level = socket.level;
    if (!socket.inbox.empty() || socket.has_report)
        level |= sys::afd_receive;
    if (socket.finished && (socket.inbox.empty() || socket.tells_end_early))
        level |= sys::afd_disconnect;
    if (socket.reset)
        level |= sys::afd_abort;
    if (!socket.backlog.empty())
        level |= sys::afd_accept;
    if (socket.connected && socket.send_room > 0)
        level |= sys::afd_send;
    return level;
}

SOCKET open_socket(kind which, ULONG level)
{
    return add_socket(which, level);
}

void set_level(SOCKET socket, ULONG level)
{
    socket_object *changed = find_socket(socket);
    if (changed == nullptr)
        return;
    changed->level = level;
    progress(socket);
}

ULONG level(SOCKET socket)
{
    socket_object *found = find_socket(socket);
    return found != nullptr ? current_level(*found) : 0;
}

bool is_open(SOCKET socket)
{
    return find_socket(socket) != nullptr;
}

size_t sockets_open()
{
    return k().sockets.size();
}

void put_layer_over(SOCKET socket)
{
    SOCKET base = add_socket(find_socket(socket)->which, 0);
    find_socket(base)->base_of_layer = true;
    find_socket(socket)->layer = true;
    find_socket(socket)->base = base;
}

void close_by_program(SOCKET socket)
{
    socket_object *closing = find_socket(socket);
    if (closing == nullptr) {
        complain("a socket is closed twice");
        return;
    }
    bool resets = closing->resets_when_closed || is_closed_over_operation(socket);
    std::vector<OVERLAPPED *> waiting = closing->waiting;
    for (OVERLAPPED *overlapped : waiting) {
        operation *ending = &k().operations.at(overlapped);
        if (ending->what == work::poll && (ending->asked & sys::afd_local_close) != 0)
            end_operation(ending, status_success, 0, sys::afd_local_close);
        else
            end_operation(ending, status_after_close(ending->what), 0, 0);
    }
    // The accept that it was given to can only fail now.
    for (auto &entry : k().operations)
        if (entry.second.what == work::accept && entry.second.accepted == socket && !entry.second.ended) {
            end_operation(&entry.second, status_local_disconnect, 0, 0);
            break;
        }
    k().last_closed = {closing->sent, resets, closing->sent};
    if (resets)
        k().last_closed.delivered.resize(closing->read_by_peer);
    SOCKET base = closing->base;
    k().sockets.erase(socket);
    if (base != socket)
        k().sockets.erase(base);
}

bool is_closed_over_operation(SOCKET socket)
{
    const socket_object *closing = find_socket(socket);
    for (const auto &entry : k().operations) {
        work what = entry.second.what;
        if (entry.second.ended || entry.second.held)
            continue; // AFD has let go of what has ended, or was cancelled: its packet does not need the socket
        bool transfers = what == work::receive || what == work::send;
        bool is_its_own =
            entry.second.socket == socket && entry.second.serial > closing->serial; // not of an earlier socket
        if (is_its_own && ((transfers && closing->connected) || what == work::connect))
            return true;
    }
    return false;
}

void progress(SOCKET socket)
{
    std::vector<OVERLAPPED *> waiting = find_socket(socket)->waiting;
    for (OVERLAPPED *overlapped : waiting) {
        auto found = k().operations.find(overlapped);
        if (found == k().operations.end() || found->second.ended || found->second.held)
            continue;
        operation *looked_at = &found->second;
        socket_object *on = find_socket(socket);
        if (looked_at->what == work::poll) {
            ULONG ready = current_level(*on) & looked_at->asked;
            if (ready != 0)
                end_operation(looked_at, status_success, 0, ready);
            continue;
        }
        nt_status status = status_success;
        DWORD bytes = 0;
        if (try_operation(looked_at, on, &status, &bytes))
            end_operation(looked_at, status, bytes, 0);
    }
}

} // namespace fake

namespace sys {

using namespace fake;

int afd_open(HANDLE *afd)
{
    int error = enter(call::afd_open);
    if (error != 0)
        return error;
    *afd = new_handle();
    k().files[*afd] = {};
    return 0;
}

// Windows mixes up polls of one socket that are in flight together: what one has asked for may end the other.
static void complain_of_second_poll(const socket_object *socket, const file_object &afd)
{
    for (OVERLAPPED *waiting : socket->waiting) {
        auto found = k().operations.find(waiting);
        if (found == k().operations.end() || found->second.what != work::poll || found->second.ended ||
            found->second.held)
            continue;
        if (found->second.to.port == afd.to.port)
            complain("afd_poll: another poll of that socket is in flight");
    }
}

start_result afd_poll(HANDLE afd, afd_poll_info *info, OVERLAPPED *overlapped)
{
    int error = enter(call::afd_poll);
    if (error != 0)
        return {started::failed, error, 0};
    auto file = k().files.find(afd);
    if (file == k().files.end() || file->second.is_port) {
        complain("afd_poll: the handle is closed, or no AFD handle");
        return {started::failed, WSAENOTSOCK, 0};
    }
    if (!guard::is_live(info, sizeof(*info)) || info->count != 1 || info->events == 0)
        complain("afd_poll: its input is freed, or does not ask for one socket");
    if (happens(k().odds.shortage))
        return {started::failed, WSAENOBUFS, 0};
    SOCKET number;
    socket_object *socket = find_for_afd(reinterpret_cast<SOCKET>(info->socket), &number);
    if (socket == nullptr)
        return {started::failed, WSAENOTSOCK, 0};
    complain_of_second_poll(socket, file->second);
    operation *poll = begin_operation(work::poll, afd, file->second.to, number, overlapped);
    poll->info = info;
    poll->asked = info->events;
    ULONG ready = current_level(*socket) & poll->asked;
    if (ready != 0)
        return finish_start(poll, status_success, 0, ready, true);
    if (happens(k().odds.thread_ends))
        end_operation(poll, status_cancelled, 0, 0);
    return {started::pending, 0, 0};
}

int socket_type(SOCKET socket, int *type)
{
    int error = enter(call::socket_type);
    if (error != 0)
        return error;
    const socket_object *found = find_socket(socket);
    if (found == nullptr)
        return WSAENOTSOCK;
    *type = found->which == kind::datagram ? SOCK_DGRAM : SOCK_STREAM;
    return 0;
}

int look_now(look *looks, unsigned count)
{
    int error = enter(call::look_now);
    if (error != 0)
        return error;
    if (count == 0 || count > max_looked_at)
        complain("look_now: so many sockets do not fit");
    for (unsigned i = 0; i < count; ++i) {
        const socket_object *found = find_socket(looks[i].socket);
        if (found == nullptr)
            return WSAENOTSOCK;
        ULONG level = current_level(*found);
        if (!looks[i].reads && !looks[i].writes)
            complain("look_now: nothing is asked");
        bool fails = looks[i].writes && (level & afd_connect_failed) != 0;
        looks[i].reads = looks[i].reads && (level & (afd_receive | afd_disconnect | afd_abort | afd_accept)) != 0;
        looks[i].writes = looks[i].writes && (level & (afd_send | afd_abort)) != 0;
        looks[i].fails = fails && !looks[i].writes;
    }
    return 0;
}

int base_socket(SOCKET socket, SOCKET *base)
{
    *base = INVALID_SOCKET;
    int error = enter(call::base_socket);
    if (error != 0)
        return error;
    const socket_object *found = find_socket(socket);
    if (found == nullptr)
        return WSAENOTSOCK;
    *base = found->base;
    return 0;
}

void ignore_datagram_report(SOCKET socket, datagram_report which)
{
    if (socket_object *found = find_socket(socket))
        found->ignores_report[static_cast<size_t>(which)] = true;
}

} // namespace sys
} // namespace iocp
