// Completion ports: who gets packets, of what, and what a wait does besides.
#include "probe.h"

#include <atomic>
#include <initializer_list>

namespace probe {

namespace {

struct shared_port {
    HANDLE port;
    OVERLAPPED posted[2];
    std::atomic<bool> computes;
    std::atomic<bool> stop;
};

DWORD WINAPI take_one_and_compute(void *argument)
{
    auto *with = static_cast<shared_port *>(argument);
    OVERLAPPED *of;
    nt_status status;
    packet(with->port, soon_us, &of, &status);
    with->computes = true;
    while (!with->stop) {
    }
    return 0;
}

std::string second_thread(HANDLE port)
{
    shared_port with = {port, {}, {false}, {false}};
    iocp::sys::port_post(port, 0, 0, &with.posted[0]);
    HANDLE thread = CreateThread(nullptr, 0, take_one_and_compute, &with, 0, nullptr);
    while (!with.computes)
        Sleep(1);
    iocp::sys::port_post(port, 0, 0, &with.posted[1]);
    OVERLAPPED *of;
    nt_status status;
    bool taken = packet(port, soon_us / 2, &of, &status);
    with.stop = true;
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    CloseHandle(port);
    return taken ? "gets packets" : "gets none";
}

std::string our_concurrency()
{
    return second_thread(port_of(INVALID_SOCKET, false));
}

std::string concurrency_of_one()
{
    return second_thread(CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1));
}

void CALLBACK count_call(ULONG_PTR counter)
{
    ++*reinterpret_cast<int *>(counter);
}

std::string apc_in_wait()
{
    int ran = 0;
    HANDLE port = port_of(INVALID_SOCKET, false);
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    QueueUserAPC(count_call, GetCurrentThread(), reinterpret_cast<ULONG_PTR>(&ran));
    SetLastError(0);
    BOOL got = GetQueuedCompletionStatusEx(port, &entry, 1, &count, 100, TRUE);
    DWORD error = GetLastError();
    CloseHandle(port);
    return text("%s it, returns %d with %lu", ran == 1 ? "runs" : "does not run", got, error);
}

std::string apc_in_select()
{
    int ran = 0;
    pair both = connected();
    QueueUserAPC(count_call, GetCurrentThread(), reinterpret_cast<ULONG_PTR>(&ran));
    fd_set wanted;
    FD_ZERO(&wanted);
    FD_SET(both.here, &wanted);
    struct timeval limit = {0, 100 * 1000};
    select(0, &wanted, nullptr, nullptr, &limit);
    close(both);
    return ran == 1 ? "runs it" : "does not run it";
}

std::string foreign_operation()
{
    pair both = connected();
    HANDLE port = port_of(both.here, true);
    char byte;
    WSABUF buffer = {1, &byte};
    DWORD flags = 0;
    WSAOVERLAPPED own = {};
    own.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    WSARecv(both.here, &buffer, 1, nullptr, &flags, &own, nullptr);
    send(both.there, "x", 1, 0);
    std::string seen = packet_of(port, both.here, soon_us);
    CloseHandle(own.hEvent);
    close(both);
    CloseHandle(port);
    return seen;
}

std::string second_port()
{
    pair both = connected();
    HANDLE first = port_of(both.here, false), second = port_of(INVALID_SOCKET, false);
    int error = iocp::sys::port_associate(second, reinterpret_cast<HANDLE>(both.here), 0);
    close(both);
    CloseHandle(first);
    CloseHandle(second);
    return error == 0 ? "joins" : text("refused with %d", error);
}

std::string way_off_a_port()
{
    pair both = connected();
    HANDLE first = port_of(both.here, true), second = port_of(INVALID_SOCKET, false);
    std::string seen = "none";
    if (iocp::sys::leave_port(both.here) == 0) {
        int error = iocp::sys::port_associate(second, reinterpret_cast<HANDLE>(both.here), 0);
        WSABUF buffer = {1, const_cast<char *>("x")};
        OVERLAPPED sent = {};
        iocp::sys::send(both.here, &buffer, 1, &sent, true);
        OVERLAPPED *of;
        nt_status status;
        bool came = packet(second, at_once_us, &of, &status);
        seen = text("leaves, joins another with %d; no packet of what is done at once: %s", error,
                    came ? "forgotten" : "kept");
    }
    close(both);
    CloseHandle(first);
    CloseHandle(second);
    return seen;
}

std::string without_the_flag()
{
    SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, 0, nullptr, 0, 0);
    HANDLE port = port_of(INVALID_SOCKET, false);
    int error = iocp::sys::port_associate(port, reinterpret_cast<HANDLE>(made), 0);
    closesocket(made);
    CloseHandle(port);
    return error == 0 ? "joins" : "refused";
}

std::string wait_for_a_port()
{
    return iocp::sys::ports_can_be_waited_for() ? "is ended by a packet, which stays" : "does not work";
}

template <typename Function> bool find(const char *name, Function *function)
{
    FARPROC address = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), name);
    *function = reinterpret_cast<Function>(reinterpret_cast<void (*)()>(address));
    return address != nullptr;
}

// What a thread pool's wait goes by, which ends the process where this is refused.
std::string wait_packet_of(HANDLE target)
{
    nt_status(NTAPI * create)(HANDLE *, ACCESS_MASK, void *);
    nt_status(NTAPI * associate)(HANDLE, HANDLE, HANDLE, void *, void *, nt_status, ULONG_PTR, BOOLEAN *);
    if (!find("NtCreateWaitCompletionPacket", &create) || !find("NtAssociateWaitCompletionPacket", &associate))
        return "no such packets";
    HANDLE made, told = port_of(INVALID_SOCKET, false);
    BOOLEAN already_signalled;
    nt_status status = create(&made, 1, nullptr);
    if (status >= 0) {
        status = associate(made, told, target, nullptr, nullptr, 0, 0, &already_signalled);
        CloseHandle(made);
    }
    CloseHandle(told);
    return text("%08lX", static_cast<unsigned long>(status));
}

std::string wait_packets()
{
    HANDLE port = port_of(INVALID_SOCKET, false);
    HANDLE mutex = CreateMutexW(nullptr, FALSE, nullptr), event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    std::string seen = wait_packet_of(port);
    if (seen != "no such packets")
        seen = text("port %s, mutex %s, event %s", seen.c_str(), wait_packet_of(mutex).c_str(),
                    wait_packet_of(event).c_str());
    for (HANDLE each : {port, mutex, event})
        CloseHandle(each);
    return seen;
}

const question all[] = {
    {"port.threads", "while a thread that has dequeued computes, another one at our ports", "gets packets",
     "backend/port: a base that changes threads, or is collected beside its loop", our_concurrency},
    {"port.concurrency-1", "the same at a port of concurrency 1", "gets none", "compat/sys_port: port_create",
     concurrency_of_one},
    {"port.apc", "an alertable wait with an APC queued", "runs it, returns 0 with 192", "compat/sys_port: port_dequeue",
     apc_in_wait},
    {"port.wait", "a wait for a port's own handle", nullptr, "backend/embedding: what an outer loop waits for",
     wait_for_a_port},
    {"port.wait-packet", "a wait completion packet for a port, a mutex, an event",
     "port C00000F1, mutex C00000F1, event 00000000",
     "backend/embedding: what a thread pool waits for; compat/sys_wait", wait_packets},
    {"select.apc", "a select that waits with an APC queued", "runs it", "why our wait is alertable", apc_in_select},
    {"port.foreign", "the program's own overlapped receive, with an event, on a socket of ours", "packet with 0",
     "backend/port: packets are looked up among what is in flight", foreign_operation},
    {"port.second", "a socket that is on a port is asked to join another", "refused with 87",
     "backend/socket_registry: socket_bind, socket_is_stale", second_port},
    {"port.leave", "FileReplaceCompletionInformation, which takes a socket off its port", nullptr,
     "compat/sys_socket: leave_port", way_off_a_port},
    {"port.no-flag", "a socket made without WSA_FLAG_OVERLAPPED asks to join a port", "refused",
     "bufferevents on such sockets are polled", without_the_flag},
};

} // namespace

questions about_ports()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
