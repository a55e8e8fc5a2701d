// The order of calls that Windows insists on and nobody can see afterwards: Winsock itself is watched.
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
        *reinterpret_cast<const BOOL *>(value) != FALSE)
        shares_its_port = socket;
    return iocp::exported(watched_option, winsock, "setsockopt")(socket, level, option, value, length);
}

int WSAAPI watched_bind(SOCKET socket, const struct sockaddr *name, int length)
{
    ++binds;
    assert_int_equal(shares_its_port, socket);
    return iocp::exported(watched_bind, winsock, "bind")(socket, name, length);
}

// ConnectEx wants its socket bound; without the option each takes a port for itself, of some 16,000.
void outgoing_ports_are_shared(void **)
{
    for (int family : {AF_INET, AF_INET6}) {
        SOCKET made = socket(family, SOCK_STREAM, 0);
        if (made == INVALID_SOCKET)
            continue; // no IPv6 here
        int before = binds;
        iocp::sys::bind_any(made, family);
        assert_int_equal(binds, before + 1);
        closesocket(made);
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(outgoing_ports_are_shared)};
    real::start();
    if (!iocp::replace_import(winsock, "setsockopt", watched_option) ||
        !iocp::replace_import(winsock, "bind", watched_bind))
        return 1;
    return cmocka_run_group_tests_name("real calls", tests, nullptr, nullptr);
}
