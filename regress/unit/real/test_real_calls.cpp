// What Windows insists on and nobody can see afterwards, or never says here: Winsock itself is watched, or fails.
#include <initializer_list>

#include "real/real_base.h"
#include "support/imports.h"

#include "compat/sys.h"

namespace {

constexpr int reuse_unicast_port = 0x3007;
int binds;
SOCKET shares_its_port = INVALID_SOCKET;

constexpr wchar_t winsock[] = L"ws2_32.dll";

int WSAAPI watched_option(SOCKET socket, int level, int option, const char *value, int length)
{
    if (level == SOL_SOCKET && option == reuse_unicast_port && length == sizeof(BOOL) &&
        *reinterpret_cast<const BOOL *>(value) != FALSE) {
        shares_its_port = socket;
        return 0; // where a system does not know the option, it is not asked for again
    }
    return iocp::exported(watched_option, winsock, "setsockopt")(socket, level, option, value, length);
}

int WSAAPI watched_bind(SOCKET socket, const struct sockaddr *name, int length)
{
    ++binds;
    assert_int_equal(shares_its_port, socket);
    return iocp::exported(watched_bind, winsock, "bind")(socket, name, length);
}

// ConnectEx wants its socket bound; without the option each takes a port for itself, of some 16,000.
void binds_a_shared_port(SOCKET made, int family)
{
    int before = binds;
    shares_its_port = INVALID_SOCKET; // a number may come back
    iocp::sys::bind_any(made, family);
    assert_int_equal(binds, before + 1);
    closesocket(made);
}

void outgoing_ports_are_shared(void **)
{
    binds_a_shared_port(socket(AF_INET, SOCK_STREAM, 0), AF_INET);
}

void outgoing_ports_of_ipv6_are_shared(void **)
{
    SOCKET made = socket(AF_INET6, SOCK_STREAM, 0);
    if (made == INVALID_SOCKET) // a machine may have no IPv6
        skip();
    binds_a_shared_port(made, AF_INET6);
}

// --- a shortage
// -------------------------------------------------------------------------------------------------------

bool too_many_outstanding;

int WSAAPI short_receive(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes, DWORD *flags,
                         WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    if (!too_many_outstanding)
        return iocp::exported(short_receive, winsock, "WSARecv")(socket, buffers, count, bytes, flags, overlapped,
                                                                 routine);
    WSASetLastError(WSAEWOULDBLOCK);
    return SOCKET_ERROR;
}

int WSAAPI short_send(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes, DWORD flags, WSAOVERLAPPED *overlapped,
                      LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    if (!too_many_outstanding)
        return iocp::exported(short_send, winsock, "WSASend")(socket, buffers, count, bytes, flags, overlapped,
                                                              routine);
    WSASetLastError(WSAEWOULDBLOCK);
    return SOCKET_ERROR;
}

// An overlapped call never would wait: that error tells of too many outstanding ones, and passes. Of a plain call it
// says what it always says.
void a_start_that_would_wait_is_a_shortage(void **)
{
    char byte = 'x';
    WSABUF buffer = {1, &byte};
    OVERLAPPED overlapped = {};
    DWORD bytes;
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    too_many_outstanding = true;
    for (bool skips : {false, true}) {
        iocp::sys::start_result received = iocp::sys::receive(made, &buffer, 1, &overlapped, skips);
        iocp::sys::start_result sent = iocp::sys::send(made, &buffer, 1, &overlapped, skips);
        for (const iocp::sys::start_result &each : {received, sent}) {
            assert_true(each.how == iocp::sys::started::failed);
            assert_int_equal(each.error, WSAENOBUFS);
            assert_true(iocp::sys::is_shortage(each.error));
        }
    }
    assert_int_equal(iocp::sys::receive_now(made, &buffer, 1, &bytes), WSAEWOULDBLOCK);
    assert_int_equal(iocp::sys::send_now(made, &buffer, 1, &bytes), WSAEWOULDBLOCK);
    too_many_outstanding = false;
    closesocket(made);
}

// --- datagrams
// --------------------------------------------------------------------------------------------------------

constexpr DWORD udp_connreset = 0x9800000C, udp_netreset = 0x9800000F;
DWORD ignored_report;

int WSAAPI watched_ioctl(SOCKET socket, DWORD code, void *in, DWORD in_length, void *out, DWORD out_length,
                         DWORD *returned, WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    if (in_length == sizeof(BOOL) && *static_cast<BOOL *>(in) == FALSE)
        ignored_report = code;
    return iocp::exported(watched_ioctl, winsock, "WSAIoctl")(socket, code, in, in_length, out, out_length, returned,
                                                              overlapped, routine);
}

// Wine knows the first alone, and Windows either.
void each_report_of_datagrams_has_its_ioctl(void **)
{
    SOCKET made = socket(AF_INET, SOCK_DGRAM, 0);
    iocp::sys::ignore_datagram_report(made, iocp::sys::datagram_report::port_unreachable);
    assert_int_equal(ignored_report, udp_connreset);
    iocp::sys::ignore_datagram_report(made, iocp::sys::datagram_report::time_exceeded);
    assert_int_equal(ignored_report, udp_netreset);
    closesocket(made);
}

// --- sockets for accepts
// ------------------------------------------------------------------------------------------------------

bool is_old;

SOCKET WSAAPI old_socket(int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group, DWORD flags)
{
    constexpr DWORD no_inherit = 0x80;
    if (!is_old || (flags & no_inherit) == 0)
        return iocp::exported(old_socket, winsock, "WSASocketW")(family, type, protocol, info, group, flags);
    WSASetLastError(WSAEINVAL);
    return INVALID_SOCKET;
}

bool is_inherited(SOCKET socket)
{
    DWORD flags = 0;
    assert_true(GetHandleInformation(reinterpret_cast<HANDLE>(socket), &flags) != FALSE);
    return (flags & HANDLE_FLAG_INHERIT) != 0;
}

// Nor where the flag for that is unknown (before Windows 7 SP1).
void no_child_inherits_a_socket_for_an_accept(void **)
{
    for (bool old : {false, true}) {
        is_old = old;
        SOCKET made;
        assert_int_equal(iocp::sys::socket_like({AF_INET, SOCK_STREAM, IPPROTO_TCP}, &made), 0);
        assert_false(is_inherited(made));
        iocp::sys::set_inherited(made, true);
        assert_true(is_inherited(made));
        iocp::sys::set_inherited(made, false);
        assert_false(is_inherited(made));
        closesocket(made);
    }
    is_old = false;
}

bool watch_winsock()
{
    return iocp::replace_import(winsock, "setsockopt", watched_option) &&
           iocp::replace_import(winsock, "bind", watched_bind) &&
           iocp::replace_import(winsock, "WSARecv", short_receive) &&
           iocp::replace_import(winsock, "WSASend", short_send) &&
           iocp::replace_import(winsock, "WSASocketW", old_socket) &&
           iocp::replace_import(winsock, "WSAIoctl", watched_ioctl);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outgoing_ports_are_shared),
        cmocka_unit_test(outgoing_ports_of_ipv6_are_shared),
        cmocka_unit_test(a_start_that_would_wait_is_a_shortage),
        cmocka_unit_test(each_report_of_datagrams_has_its_ioctl),
        cmocka_unit_test(no_child_inherits_a_socket_for_an_accept),
    };
    real::start();
    if (!watch_winsock())
        return 1;
    return cmocka_run_group_tests_name("real calls", tests, nullptr, nullptr);
}
