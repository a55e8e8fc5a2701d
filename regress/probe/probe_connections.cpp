// ConnectEx, AcceptEx, accept(), and what a socket is after each.
#include "probe.h"

namespace probe {

namespace {

constexpr DWORD address_room = sizeof(struct sockaddr_storage) + 16;

std::string whole(SOCKET socket)
{
    struct sockaddr_storage name;
    int length = sizeof(name);
    bool named = getpeername(socket, reinterpret_cast<struct sockaddr *>(&name), &length) == 0;
    std::string seen = named ? "peer's name" : text("no name (%d)", WSAGetLastError());
    return seen + (shutdown(socket, SD_SEND) == 0 ? ", shuts down" : text(", no shutdown (%d)", WSAGetLastError()));
}

struct accepting {
    SOCKET listener;
    struct sockaddr_in address;
    SOCKET accepted;
    HANDLE port;
    OVERLAPPED overlapped;
    char buffer[2 * address_room];
};

std::string start_accept(accepting *self, bool never_blocks)
{
    *self = {};
    self->listener = listener(&self->address);
    iocp::sys::set_blocking(self->listener, !never_blocks);
    self->accepted = socket(AF_INET, SOCK_STREAM, 0);
    self->port = port_of(self->listener, true);
    iocp::sys::start_result result =
        iocp::sys::accept(self->listener, self->accepted, self->buffer, 0, address_room, &self->overlapped, true);
    return result.how == iocp::sys::started::pending ? "pends" : text("does not pend (%d)", result.error);
}

SOCKET client_of(const accepting &self)
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    connect(made, reinterpret_cast<const struct sockaddr *>(&self.address), sizeof(self.address));
    return made;
}

void end(accepting *self, SOCKET client)
{
    closesocket(client);
    closesocket(self->accepted);
    closesocket(self->listener);
    packet_of(self->port, self->listener, at_once_us);
    CloseHandle(self->port);
}

std::string accepted(bool finished)
{
    accepting self;
    std::string seen = start_accept(&self, false);
    SOCKET client = client_of(self);
    seen += ", " + packet_of(self.port, self.listener, soon_us);
    if (finished)
        iocp::sys::finish_accept(self.listener, self.accepted);
    seen += ", " + whole(self.accepted);
    end(&self, client);
    return seen;
}

std::string accept_not_finished()
{
    return accepted(false);
}

std::string accept_finished()
{
    return accepted(true);
}

std::string mode_after_accept_ex()
{
    accepting self;
    start_accept(&self, true);
    SOCKET client = client_of(self);
    packet_of(self.port, self.listener, soon_us);
    iocp::sys::finish_accept(self.listener, self.accepted);
    std::string seen = blocks(self.accepted) ? "blocks" : "does not block";
    end(&self, client);
    return seen;
}

std::string mode_after_accept()
{
    struct sockaddr_in address;
    SOCKET listening = listener(&address);
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    connect(client, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    iocp::sys::set_blocking(listening, false);
    SOCKET taken = accept(listening, nullptr, nullptr);
    std::string seen = taken == INVALID_SOCKET ? "nothing" : blocks(taken) ? "blocks" : "does not block";
    closesocket(taken);
    closesocket(client);
    closesocket(listening);
    return seen;
}

std::string who_comes_first()
{
    accepting self;
    start_accept(&self, true);
    SOCKET client = client_of(self);
    Sleep(100);
    SOCKET taken = accept(self.listener, nullptr, nullptr);
    std::string seen = taken == INVALID_SOCKET ? "AcceptEx" : "accept()";
    closesocket(taken);
    end(&self, client);
    return seen;
}

std::string connected_by_connect_ex(bool finished)
{
    struct sockaddr_in address;
    SOCKET listening = listener(&address);
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    HANDLE port = port_of(made, true);
    OVERLAPPED overlapped = {};
    iocp::sys::bind_any(made, AF_INET);
    iocp::sys::start_result result =
        iocp::sys::connect(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address), &overlapped, true);
    std::string seen = result.how == iocp::sys::started::pending ? packet_of(port, made, soon_us)
                                                                 : text("error %d in its call", result.error);
    if (finished)
        iocp::sys::finish_connect(made);
    seen += ", " + whole(made);
    closesocket(made);
    closesocket(listening);
    CloseHandle(port);
    return seen;
}

std::string connect_not_finished()
{
    return connected_by_connect_ex(false);
}

std::string connect_finished()
{
    return connected_by_connect_ex(true);
}

std::string refused()
{
    struct sockaddr_in address;
    closesocket(listener(&address));
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    HANDLE port = port_of(made, true);
    OVERLAPPED overlapped = {};
    iocp::sys::bind_any(made, AF_INET);
    int64_t began_us = now_us();
    iocp::sys::start_result result =
        iocp::sys::connect(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address), &overlapped, true);
    std::string seen = result.how == iocp::sys::started::pending ? packet_of(port, made, patient_us)
                                                                 : text("error %d in its call", result.error);
    seen += now_us() - began_us > soon_us ? ", after seconds" : ", at once";
    closesocket(made);
    CloseHandle(port);
    return seen;
}

std::string shared_port()
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    BOOL on = TRUE;
    int failed = setsockopt(made, SOL_SOCKET, 0x3007, reinterpret_cast<char *>(&on), sizeof(on));
    std::string seen = failed == 0 ? "known" : text("error %d", WSAGetLastError());
    closesocket(made);
    return seen;
}

// A whole life: made, bound, listening, connected, accepted.
std::string local_sockets()
{
    struct {
        unsigned short family;
        char path[108];
    } address = {AF_UNIX, "windows-probe.sock"};
    auto *name = reinterpret_cast<struct sockaddr *>(&address);
    SOCKET listening = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listening == INVALID_SOCKET)
        return text("error %d", WSAGetLastError());
    DeleteFileA(address.path);
    SOCKET client = socket(AF_UNIX, SOCK_STREAM, 0), taken = INVALID_SOCKET;
    std::string seen = "there";
    if (bind(listening, name, sizeof(address)) != 0 || listen(listening, 1) != 0)
        seen += text(", does not listen (%d)", WSAGetLastError());
    else if (connect(client, name, sizeof(address)) != 0)
        seen += text(", does not connect (%d)", WSAGetLastError());
    else if ((taken = accept(listening, nullptr, nullptr)) == INVALID_SOCKET)
        seen += text(", does not accept (%d)", WSAGetLastError());
    else
        seen += ", connects";
    for (SOCKET each : {taken, client, listening}) {
        if (each != INVALID_SOCKET)
            closesocket(each);
    }
    DeleteFileA(address.path);
    return seen;
}

const question all[] = {
    {"accept.bare", "a socket that AcceptEx has connected, before SO_UPDATE_ACCEPT_CONTEXT",
     "pends, packet with 0, no name (10057), no shutdown (10057)", "bufferevent/acceptor: finish", accept_not_finished},
    {"accept.whole", "and after it", "pends, packet with 0, peer's name, shuts down", "bufferevent/acceptor: finish",
     accept_finished},
    {"accept.mode-ex", "a socket from AcceptEx on a listener that does not block", nullptr,
     "bufferevent/acceptor: the mode is set", mode_after_accept_ex},
    {"accept.mode", "a socket from accept() on a listener that does not block", "does not block",
     "bufferevent/acceptor_backlog", mode_after_accept},
    {"accept.first", "who gets a connection, an AcceptEx in flight or accept()", "AcceptEx",
     "bufferevent/acceptor_backlog", who_comes_first},
    {"connect.bare", "a socket that ConnectEx has connected, before SO_UPDATE_CONNECT_CONTEXT",
     "packet with 0, no name (10057), no shutdown (10057)", "bufferevent/stream_connect", connect_not_finished},
    {"connect.whole", "and after it", "packet with 0, peer's name, shuts down", "bufferevent/stream_connect",
     connect_finished},
    {"connect.refused", "a refused ConnectEx", "packet with 10061, after seconds", "bufferevent/stream_connect",
     refused},
    {"connect.port", "SO_REUSE_UNICASTPORT (Windows 10)", "known", "compat/sys_socket: bind_any", shared_port},
    {"unix", "a connection of AF_UNIX", "there, connects", "AF_UNIX", local_sockets},
};

} // namespace

questions about_connections()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
