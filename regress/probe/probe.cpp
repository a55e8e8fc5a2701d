// windows-probe: asks the kernel each question on which the library relies, and prints what it saw beside what was
// expected. Nothing leaves this machine: all connections are to 127.0.0.1. Paste the whole output into a report.
//
//   windows-probe             every question
//   windows-probe --answers   "name = answer" alone, as the files in answers/ have it
#include "probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace probe {

std::string text(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    return line;
}

SOCKET listener(struct sockaddr_in *address)
{
    *address = {};
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    int length = sizeof(*address);
    bind(made, reinterpret_cast<struct sockaddr *>(address), length);
    listen(made, 10);
    getsockname(made, reinterpret_cast<struct sockaddr *>(address), &length);
    return made;
}

pair connected()
{
    struct sockaddr_in address;
    SOCKET listening = listener(&address);
    pair made = {socket(AF_INET, SOCK_STREAM, 0), INVALID_SOCKET};
    connect(made.here, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    made.there = accept(listening, nullptr, nullptr);
    closesocket(listening);
    for (SOCKET each : {made.here, made.there}) {
        BOOL on = TRUE;
        setsockopt(each, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char *>(&on), sizeof(on));
    }
    return made;
}

void close(const pair &both)
{
    closesocket(both.here);
    closesocket(both.there);
}

HANDLE port_of(SOCKET socket, bool skips)
{
    HANDLE port = nullptr;
    iocp::sys::port_create(&port, 0);
    if (socket == INVALID_SOCKET)
        return port;
    iocp::sys::port_associate(port, reinterpret_cast<HANDLE>(socket), 0);
    if (skips)
        iocp::sys::skip_packet_on_success(reinterpret_cast<HANDLE>(socket), iocp::sys::handle_signal::never);
    return port;
}

int64_t now_us()
{
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    return count.QuadPart / frequency.QuadPart * 1000000 +
           count.QuadPart % frequency.QuadPart * 1000000 / frequency.QuadPart;
}

bool packet(HANDLE port, int64_t wait_us, OVERLAPPED **of, nt_status *status)
{
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    if (iocp::sys::port_dequeue(port, &entry, 1, wait_us, iocp::sys::wait_kind::plain, &count) != 0 || count == 0)
        return false;
    *of = entry.lpOverlapped;
    *status = static_cast<nt_status>(entry.lpOverlapped->Internal);
    return true;
}

std::string packet_of(HANDLE port, SOCKET socket, int64_t wait_us)
{
    OVERLAPPED *of;
    nt_status status;
    if (!packet(port, wait_us, &of, &status))
        return "no packet";
    return text("packet with %d", iocp::sys::operation_error(socket, of));
}

std::string seen_by(SOCKET peer)
{
    static char bytes[65536];
    DWORD limit_ms = 2000;
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<char *>(&limit_ms), sizeof(limit_ms));
    size_t got = 0;
    int last;
    while ((last = recv(peer, bytes, sizeof(bytes), 0)) > 0)
        got += static_cast<size_t>(last);
    int error = last < 0 ? WSAGetLastError() : 0;
    return text("%u bytes, then %s", static_cast<unsigned>(got),
                error == 0              ? "the end"
                : error == WSAETIMEDOUT ? "nothing"
                                        : "a reset");
}

bool blocks(SOCKET socket)
{
    char byte;
    DWORD limit_ms = 200;
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<char *>(&limit_ms), sizeof(limit_ms));
    return recv(socket, &byte, 1, 0) != SOCKET_ERROR || WSAGetLastError() != WSAEWOULDBLOCK;
}

namespace {

void print_system()
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    auto find = [ntdll](const char *name) { return reinterpret_cast<void (*)()>(GetProcAddress(ntdll, name)); };
    auto wine = reinterpret_cast<const char *(*)()>(find("wine_get_version"));
    auto version = reinterpret_cast<LONG(NTAPI *)(OSVERSIONINFOW *)>(find("RtlGetVersion"));
    OSVERSIONINFOW system = {};
    system.dwOSVersionInfoSize = sizeof(system);
    if (version != nullptr)
        version(&system);
    SYSTEM_INFO machine;
    GetNativeSystemInfo(&machine);
    printf("libevent-iocp windows-probe: %s%s, as Windows %lu.%lu.%lu, %lu processors, %u-bit program\n\n",
           wine != nullptr ? "Wine " : "Windows", wine != nullptr ? wine() : "", system.dwMajorVersion,
           system.dwMinorVersion, system.dwBuildNumber, machine.dwNumberOfProcessors,
           static_cast<unsigned>(sizeof(void *) * 8));
}

// How many answers were not as expected.
unsigned ask(const questions &some, bool answers_only)
{
    unsigned differ = 0;
    for (unsigned i = 0; i < some.count; ++i) {
        const question &each = some.first[i];
        if (answers_only && each.varies)
            continue;
        std::string seen = each.answer();
        bool same = each.expected == nullptr || seen == each.expected;
        differ += same ? 0 : 1;
        if (answers_only) {
            printf("%s = %s\n", each.name, seen.c_str());
            continue;
        }
        printf("%s %s: %s\n    saw:      %s\n", same ? " " : "*", each.name, each.asks, seen.c_str());
        if (!same)
            printf("    expected: %s\n", each.expected);
        printf("    used by:  %s\n", each.used_by);
    }
    return differ;
}

} // namespace

} // namespace probe

int main(int count, char **arguments)
{
    bool answers_only = count > 1 && strcmp(arguments[1], "--answers") == 0;
    setvbuf(stdout, nullptr, _IONBF, 0);
    if (iocp::sys::startup() != 0) {
        printf("Winsock or ntdll lacks something: the library cannot work here at all\n");
        return 1;
    }
    if (!answers_only)
        probe::print_system();
    unsigned differ = 0;
    for (auto part : {probe::about_ports, probe::about_polls, probe::about_poll_states, probe::about_transfers,
                      probe::about_closing, probe::about_connections, probe::about_errors, probe::about_costs,
                      probe::about_directories})
        differ += probe::ask(part(), answers_only);
    if (!answers_only)
        printf("\n%u answers differ from what was expected of Windows (marked *)\n", differ);
    iocp::sys::cleanup();
    return 0;
}
