// Overlapped receives and sends.
#include "probe.h"

#include <vector>

namespace probe {

namespace {

struct receiving {
    OVERLAPPED overlapped;
    char bytes[64];
};

std::string start(SOCKET socket, receiving *one, ULONG room, bool skips)
{
    *one = {};
    WSABUF buffer = {room, room != 0 ? one->bytes : nullptr};
    iocp::sys::start_result result = iocp::sys::receive(socket, &buffer, 1, &one->overlapped, skips);
    if (result.how == iocp::sys::started::pending)
        return "pends";
    return result.how == iocp::sys::started::done ? text("done with %lu bytes", result.bytes)
                                                  : text("fails with %d", result.error);
}

std::string plain(SOCKET socket)
{
    char bytes[64];
    WSABUF buffer = {sizeof(bytes), bytes};
    DWORD got = 0;
    int error = iocp::sys::receive_now(socket, &buffer, 1, &got);
    return error == 0 ? text("%lu bytes", got) : text("error %d", error);
}

std::string zero_bytes()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    iocp::sys::set_blocking(both.here, false);
    receiving one;
    std::string seen = start(both.here, &one, 0, true);
    send(both.there, "hello", 5, 0);
    seen += ", " + packet_of(port, both.here, soon_us);
    for (int i = 0; i < 2; ++i)
        seen += ", then " + plain(both.here);
    close(both);
    CloseHandle(port);
    return seen;
}

std::string zero_bytes_at_the_end()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    receiving one;
    std::string seen = start(both.here, &one, 0, true);
    shutdown(both.there, SD_SEND);
    seen += ", " + packet_of(port, both.here, soon_us);
    close(both);
    CloseHandle(port);
    return seen;
}

// Both sockets block.
std::string on_a_blocking_socket()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    receiving one;
    std::string seen = start(both.here, &one, sizeof(one.bytes), true);
    send(both.there, "hello", 5, 0);
    seen += ", " + packet_of(port, both.here, soon_us);
    close(both);
    CloseHandle(port);
    return seen;
}

std::string done_at_once(bool skips)
{
    pair both = connected();
    HANDLE port = port_of(both.here, skips);
    send(both.there, "hello", 5, 0);
    Sleep(100);
    receiving one;
    std::string seen = start(both.here, &one, sizeof(one.bytes), true);
    seen += ", " + packet_of(port, both.here, at_once_us);
    close(both);
    CloseHandle(port);
    return seen;
}

std::string at_once_skipping()
{
    return done_at_once(true);
}

std::string at_once_not_skipping()
{
    return done_at_once(false);
}

std::string failing_at_once()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    shutdown(both.here, SD_RECEIVE);
    receiving one;
    std::string seen = start(both.here, &one, sizeof(one.bytes), true);
    seen += ", " + packet_of(port, both.here, at_once_us);
    iocp::sys::cancel(reinterpret_cast<HANDLE>(both.here), &one.overlapped);
    close(both);
    packet_of(port, both.here, at_once_us);
    CloseHandle(port);
    return seen;
}

std::string after_a_cancelled_one()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    receiving one;
    start(both.here, &one, sizeof(one.bytes), true);
    iocp::sys::cancel(reinterpret_cast<HANDLE>(both.here), &one.overlapped);
    std::string seen = packet_of(port, both.here, soon_us);
    send(both.there, "hello", 5, 0);
    std::string next = start(both.here, &one, sizeof(one.bytes), true);
    if (next == "pends")
        next = packet_of(port, both.here, soon_us);
    seen += std::string(", the next one has ") + (one.overlapped.InternalHigh == 5 ? "all bytes" : "lost some");
    close(both);
    CloseHandle(port);
    return seen;
}

struct sends {
    std::vector<char> block;
    std::vector<OVERLAPPED> each;
    size_t done;
};

constexpr size_t block_size = 64 * 1024;
constexpr size_t max_sends = 1000;

// Until one pends. False if none does.
bool fill(SOCKET socket, sends *all)
{
    all->block.assign(block_size, 'b');
    all->each.assign(max_sends, OVERLAPPED());
    for (all->done = 0; all->done < max_sends; ++all->done) {
        WSABUF buffer = {static_cast<ULONG>(block_size), all->block.data()};
        if (iocp::sys::send(socket, &buffer, 1, &all->each[all->done], true).how != iocp::sys::started::done)
            return true;
    }
    return false;
}

std::string cancelled_send()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    sends all;
    if (!fill(both.here, &all))
        return "no send pends";
    iocp::sys::cancel(reinterpret_cast<HANDLE>(both.here), &all.each[all.done]);
    std::string seen = packet_of(port, both.here, soon_us);
    iocp::sys::set_blocking(both.here, false);
    char byte = 'x';
    WSABUF buffer = {1, &byte};
    DWORD bytes;
    int error = iocp::sys::send_now(both.here, &buffer, 1, &bytes);
    seen += text(", the next one %s", error == 0 || error == WSAEWOULDBLOCK ? "may go on" : "fails");
    close(both);
    CloseHandle(port);
    return seen;
}

std::string shut_down()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    receiving one;
    start(both.here, &one, sizeof(one.bytes), true);
    shutdown(both.here, SD_BOTH);
    std::string seen = packet_of(port, both.here, soon_us);
    iocp::sys::cancel(reinterpret_cast<HANDLE>(both.here), &one.overlapped);
    packet_of(port, both.here, at_once_us);
    close(both);
    CloseHandle(port);
    return seen;
}

// Bytes that came ahead of a reset.
std::string ahead_of_a_reset()
{
    pair both = connected();
    iocp::sys::set_blocking(both.here, false);
    send(both.there, "hello", 5, 0);
    struct linger at_once = {1, 0};
    setsockopt(both.there, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&at_once), sizeof(at_once));
    closesocket(both.there);
    Sleep(50);
    std::string seen = plain(both.here);
    closesocket(both.here);
    return seen;
}

const question all[] = {
    {"receive.zero", "a receive of no bytes; then 5 bytes come, and two plain receives",
     "pends, packet with 0, then 5 bytes, then error 10035", "bufferevent/stream_receive: idle connections",
     zero_bytes},
    {"receive.zero-end", "the same, when the peer ends", "pends, packet with 0", "bufferevent/stream_receive",
     zero_bytes_at_the_end},
    {"receive.blocking", "an overlapped receive on a socket that blocks", "pends, packet with 0",
     "bufferevents on sockets that block", on_a_blocking_socket},
    {"receive.at-once", "a receive that finds its bytes, with packets skipped on success",
     "done with 5 bytes, no packet", "every start of an operation", at_once_skipping},
    {"receive.at-once-packet", "the same without", "done with 5 bytes, packet with 0", "sys::outcome",
     at_once_not_skipping},
    {"receive.fails", "a receive that fails in its call (SD_RECEIVE was called)", "fails with 10058, no packet",
     "completion_settle_start", failing_at_once},
    {"receive.cancel", "a cancelled receive, and the bytes that come next",
     "packet with 995, the next one has all bytes", "bufferevent/stream_receive: cold buffers", after_a_cancelled_one},
    {"receive.reset", "a plain receive of 5 bytes that came ahead of a reset", nullptr,
     "regress/parity: what select reads is compared only where it is the same each time", ahead_of_a_reset},
    {"send.cancel", "a cancelled send (Microsoft: the connection may be in an indeterminate state)", nullptr,
     "sends are never cancelled to get rid of them", cancelled_send},
    {"shutdown.both", "shutdown in both directions under a receive", "packet with 10053", "bufferevent/stream",
     shut_down},
};

} // namespace

questions about_transfers()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
