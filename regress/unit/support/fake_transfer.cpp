// The fake kernel's transfers: bytes that are received and sent, and what peers do to a connection.
#include "support/fake_kernel.h"

#include <string.h>

#include "support/guard.h"

namespace iocp {
namespace fake {

namespace {

// What the kernel may do with a receive's memory until it has ended.
constexpr int scribble = 0xEE;

size_t short_of(size_t length)
{
    if (length > 1 && happens(k().odds.short_transfer))
        return 1 + random() % (length - 1);
    return length;
}

// The caller's memory is there, and the socket is one that can be used for bytes.
void check_transfer(const char *what, const socket_object &socket, const std::vector<WSABUF> &buffers)
{
    if (socket.connected && !socket.whole)
        complain("a %s on a connection that was not finished", what);
    for (const WSABUF &buffer : buffers)
        if (buffer.len != 0 && !guard::is_live(buffer.buf, buffer.len))
            complain("a %s in memory that is not allocated", what);
}

// The socket's own operations, and the accept that it was given to.
void go_on_with(SOCKET socket)
{
    progress(socket);
    for (const auto &entry : k().operations)
        if (entry.second.what == work::accept && entry.second.accepted == socket && !entry.second.ended) {
            progress(entry.second.socket);
            return;
        }
}

void arrive_later(SOCKET socket)
{
    uint64_t serial = find_socket(socket)->serial;
    if (!comes_later([=] { arrive(socket, serial); }))
        arrive(socket, serial);
}

} // namespace

size_t capacity(const std::vector<WSABUF> &buffers)
{
    size_t total = 0;
    for (const WSABUF &buffer : buffers)
        total += buffer.len;
    return total;
}

std::string take_received(socket_object *socket, size_t room)
{
    size_t length = short_of(room < socket->inbox.size() ? room : socket->inbox.size());
    std::string taken = socket->inbox.substr(0, length);
    socket->inbox.erase(0, length);
    return taken;
}

bool copy_received(const std::string &bytes, const std::vector<WSABUF> &buffers)
{
    size_t done = 0;
    for (const WSABUF &buffer : buffers) {
        size_t part = buffer.len < bytes.size() - done ? buffer.len : bytes.size() - done;
        if (part == 0)
            continue;
        if (!guard::is_live(buffer.buf, part)) {
            complain("a receive into memory that was freed");
            return false;
        }
        memcpy(buffer.buf, bytes.data() + done, part);
        done += part;
    }
    return true;
}

bool try_receive(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes)
{
    if (socket->reset) {
        *status = status_connection_reset;
        return true;
    }
    if (socket->inbox.empty() && !socket->finished)
        return false;
    waiting->received = take_received(socket, capacity(waiting->buffers));
    *bytes = static_cast<DWORD>(waiting->received.size());
    return true;
}

bool try_send(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes)
{
    if (socket->reset) {
        *status = status_connection_reset;
        return true;
    }
    if (socket->send_room == 0) {
        waiting->waits = true;
        return false;
    }
    if (!memory_is_live(*waiting)) {
        complain("a send from memory that was freed");
        return false;
    }
    // A stream's overlapped send takes all of it, however long that takes.
    size_t length = capacity(waiting->buffers);
    if (waiting->waits && happens(k().odds.sends_end_early))
        length = random() % length;
    std::string all;
    for (const WSABUF &buffer : waiting->buffers)
        all.append(buffer.buf, buffer.len);
    socket->sent.append(all, 0, length);
    if (socket->send_room != SIZE_MAX)
        socket->send_room = length < socket->send_room ? socket->send_room - length : 0;
    *bytes = static_cast<DWORD>(length);
    return true;
}

int receive_at_once(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes)
{
    socket_object *on = find_socket(socket);
    std::vector<WSABUF> given(buffers, buffers + count);
    check_transfer("receive", *on, given);
    if (!on->connected)
        return WSAENOTCONN;
    if (on->reset)
        return WSAECONNRESET;
    if (on->inbox.empty() && !on->finished) {
        check_that_it_does_not_wait("receive", *on);
        return WSAEWOULDBLOCK;
    }
    std::string received = take_received(on, capacity(given));
    copy_received(received, given);
    *bytes = static_cast<DWORD>(received.size());
    return 0;
}

int send_at_once(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes)
{
    socket_object *on = find_socket(socket);
    std::vector<WSABUF> given(buffers, buffers + count);
    check_transfer("send", *on, given);
    if (!on->connected)
        return WSAENOTCONN;
    if (on->reset)
        return WSAECONNRESET;
    size_t length = short_of(capacity(given) < on->send_room ? capacity(given) : on->send_room);
    if (length < capacity(given))
        check_that_it_does_not_wait("send", *on); // a socket that blocks waits until it has taken all
    if (length == 0)
        return WSAEWOULDBLOCK;
    std::string all;
    for (const WSABUF &buffer : given)
        all.append(buffer.buf, buffer.len);
    on->sent.append(all, 0, length);
    if (on->send_room != SIZE_MAX)
        on->send_room -= length;
    *bytes = static_cast<DWORD>(length);
    return 0;
}

void check_that_it_does_not_wait(const char *what, const socket_object &socket)
{
    if (k().held_to.nothing_blocks && !socket.never_blocks)
        complain("a %s waits, on a socket that blocks", what);
}

bool comes_later(std::function<void()> arrival)
{
    if (k().odds.max_delay_us <= 0 || !happens(k().odds.delayed))
        return false;
    at(k().now + 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(k().odds.max_delay_us)), std::move(arrival));
    return true;
}

void arrive(SOCKET socket, uint64_t serial)
{
    socket_object *at_last = find_socket(socket);
    if (at_last == nullptr || at_last->serial != serial)
        return; // closed meanwhile
    at_last->inbox += at_last->coming;
    at_last->coming.clear();
    at_last->finished = at_last->finished || at_last->finish_coming;
    while (!at_last->clients_coming.empty()) {
        at_last->backlog.push_back(at_last->clients_coming.front());
        at_last->clients_coming.pop_front();
    }
    go_on_with(socket);
}

void connect_now(SOCKET socket)
{
    socket_object *connected = find_socket(socket);
    connected->connected = connected->whole = true;
    connected->connected_at = k().now;
    go_on_with(socket);
}

void peer_sends(SOCKET socket, const std::string &bytes)
{
    if (find_socket(socket)->finish_coming)
        return; // after the end: refused by a reset, at the most
    find_socket(socket)->coming += bytes;
    arrive_later(socket);
}

void peer_finishes(SOCKET socket)
{
    find_socket(socket)->finish_coming = true;
    find_socket(socket)->tells_end_early = k().held_to.fin_at_once && happens(500);
    arrive_later(socket);
}

void peer_resets(SOCKET socket)
{
    find_socket(socket)->reset = true;
    go_on_with(socket);
}

void report_arrives(SOCKET socket, sys::datagram_report which)
{
    socket_object *of = find_socket(socket);
    of->has_report = of->has_report || !of->ignores_report[static_cast<size_t>(which)];
    progress(socket);
}

const std::string &sent(SOCKET socket)
{
    return find_socket(socket)->sent;
}

void peer_reads(SOCKET socket)
{
    find_socket(socket)->read_by_peer = find_socket(socket)->sent.size();
}

void set_waits_when_closed(SOCKET socket)
{
    find_socket(socket)->waits_when_closed = true;
}

void set_send_room(SOCKET socket, size_t bytes)
{
    find_socket(socket)->send_room = bytes;
    progress(socket);
}

} // namespace fake

namespace sys {

using namespace fake;

start_result receive(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::receive, socket);
    if (error == 0 && !find_socket(socket)->connected)
        error = WSAENOTCONN;
    if (error != 0)
        return {started::failed, error, 0};
    operation *begun = begin_on(work::receive, socket, overlapped);
    begun->buffers.assign(buffers, buffers + count);
    check_transfer("receive", *find_socket(socket), begun->buffers);
    for (const WSABUF &buffer : begun->buffers)
        if (buffer.len != 0 && guard::is_live(buffer.buf, buffer.len))
            memset(buffer.buf, scribble, buffer.len);
    return go_on(begun, socket, skips);
}

start_result send(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips)
{
    int error = check_start(call::send, socket);
    if (error == 0 && !find_socket(socket)->connected)
        error = WSAENOTCONN;
    if (error != 0)
        return {started::failed, error, 0};
    operation *begun = begin_on(work::send, socket, overlapped);
    begun->buffers.assign(buffers, buffers + count);
    check_transfer("send", *find_socket(socket), begun->buffers);
    return go_on(begun, socket, skips);
}

int receive_now(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes)
{
    *bytes = 0;
    int error = check_start(call::receive_now, socket);
    return error == 0 ? receive_at_once(socket, buffers, count, bytes) : error;
}

void end_connection(SOCKET socket)
{
    socket_object *ended = find_socket(socket);
    if (ended == nullptr)
        return;
    if (ended->connected && !ended->whole)
        complain("a connection is shut down that was not finished");
    ended->sending_ended = ended->finish_coming = true;
    arrive(socket, ended->serial);
}

void end_sending(SOCKET socket)
{
    socket_object *ended = find_socket(socket);
    if (ended == nullptr)
        return;
    if (ended->connected && !ended->whole)
        complain("a connection is shut down that was not finished");
    ended->sending_ended = true;
    for (const auto &entry : k().operations)
        if (entry.second.socket == socket && entry.second.what == work::send && !entry.second.ended)
            complain("a connection is shut down under a send");
}

void reset_when_closed(SOCKET socket)
{
    socket_object *found = find_socket(socket);
    if (found != nullptr) {
        found->resets_when_closed = true;
        found->waits_when_closed = false;
    }
}

void do_not_wait_when_closed(SOCKET socket)
{
    socket_object *found = find_socket(socket);
    if (found != nullptr)
        found->resets_when_closed = found->waits_when_closed = false;
}

bool is_reset_when_closed(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    return found != nullptr && found->resets_when_closed;
}

} // namespace sys
} // namespace iocp
