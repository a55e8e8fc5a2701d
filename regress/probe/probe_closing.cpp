// What the peer gets of a connection that is closed over operations.
#include "probe.h"

namespace probe {

namespace {

enum class way { close, cancel_close, cancel_wait_close, shutdown_close };

// Sends three bytes, has a receive in flight, and closes in one of the ways.
std::string close_over_receive(way how)
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    send(both.here, "bye", 3, 0);
    OVERLAPPED overlapped = {};
    WSABUF none = {0, nullptr};
    iocp::sys::receive(both.here, &none, 1, &overlapped, true);
    if (how == way::cancel_close || how == way::cancel_wait_close)
        iocp::sys::cancel(reinterpret_cast<HANDLE>(both.here), &overlapped);
    std::string packet = how == way::cancel_wait_close ? packet_of(port, both.here, soon_us) : "";
    if (how == way::shutdown_close)
        shutdown(both.here, SD_SEND);
    closesocket(both.here);
    std::string seen = seen_by(both.there);
    if (how != way::cancel_wait_close)
        packet = packet_of(port, both.here, at_once_us);
    closesocket(both.there);
    CloseHandle(port);
    return seen + "; " + packet;
}

std::string closed()
{
    return close_over_receive(way::close);
}

std::string cancelled_and_closed()
{
    return close_over_receive(way::cancel_close);
}

std::string waited_for()
{
    return close_over_receive(way::cancel_wait_close);
}

std::string shut_down_and_closed()
{
    return close_over_receive(way::shutdown_close);
}

// What the peer sent has not been read.
std::string unread_input()
{
    pair both = connected();
    send(both.there, "unread", 6, 0);
    send(both.here, "bye", 3, 0);
    Sleep(100);
    closesocket(both.here);
    std::string seen = seen_by(both.there);
    closesocket(both.there);
    return seen;
}

std::string pending_send()
{
    constexpr ULONG size = 16 * 1024 * 1024;
    static char block[size];
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    WSABUF buffer = {size, block};
    OVERLAPPED overlapped = {};
    iocp::sys::start_result result = iocp::sys::send(both.here, &buffer, 1, &overlapped, true);
    if (result.how != iocp::sys::started::pending) {
        close(both);
        CloseHandle(port);
        return "does not pend";
    }
    closesocket(both.here);
    std::string seen = seen_by(both.there);
    bool all = seen == text("%u bytes, then the end", static_cast<unsigned>(size));
    closesocket(both.there);
    packet_of(port, both.here, at_once_us);
    CloseHandle(port);
    return all ? "all bytes, then the end" : "some bytes" + seen.substr(seen.find(", then"));
}

// Another socket gets the number of one that was closed under a send, and its peer what that send had left.
std::string number_used_again()
{
    constexpr ULONG size = 16 * 1024 * 1024;
    static char block[size];
    struct sockaddr_in address;
    SOCKET listening = listener(&address);
    pair first = connected();
    HANDLE port = port_of(first.here, true);
    WSABUF buffer = {size, block};
    OVERLAPPED overlapped = {};
    iocp::sys::send(first.here, &buffer, 1, &overlapped, true);
    closesocket(first.here);
    SOCKET next = socket(AF_INET, SOCK_STREAM, 0);
    connect(next, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    SOCKET peer = accept(listening, nullptr, nullptr);
    seen_by(first.there); // room for more of the send
    shutdown(next, SD_SEND);
    std::string seen = seen_by(peer);
    for (SOCKET each : {listening, first.there, next, peer})
        closesocket(each);
    packet_of(port, next, at_once_us);
    CloseHandle(port);
    if (next != first.here)
        return "another number";
    return seen.compare(0, 2, "0 ") == 0 ? seen : "bytes of the send, then" + seen.substr(seen.find(", then") + 6);
}

const question all[] = {
    {"close.receive", "closesocket under a receive: what the peer gets; and the packet", nullptr,
     "closing: an operation is ended before its socket is closed", closed},
    {"close.cancelled", "the same, cancelled before, without waiting for its packet", nullptr,
     "backend/socket_lingering: what was cancelled is not waited for", cancelled_and_closed},
    {"close.waited-for", "the same, cancelled, and its packet taken before", nullptr, "closing", waited_for},
    {"close.shut-down", "shutdown(SD_SEND), then closesocket under a receive", nullptr, "closing",
     shut_down_and_closed},
    {"close.unread", "closesocket with input that was not read", "3 bytes, then a reset",
     "README, limits: evhttp and requests that are too long", unread_input},
    {"close.send", "closesocket under a send of 16 MiB that pends", nullptr,
     "bufferevent/stream_send: a socket is closed by the packet of its last send", pending_send},
    {"close.send-number", "what the next socket of the number sends of it", "0 bytes, then the end",
     "bufferevent/stream_send", number_used_again},
};

} // namespace

questions about_closing()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
