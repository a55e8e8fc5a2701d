// The order of calls that Windows insists on and nobody can see afterwards: Winsock itself is watched.
//
// A program calls Winsock through pointers of the names below, which the import library would define otherwise.
#include <initializer_list>

#include "real/real_base.h"

#include "compat/sys.h"

namespace {

constexpr int reuse_unicast_port = 0x3007;
int binds;
SOCKET shares_its_port = INVALID_SOCKET;

template <typename Function> Function winsock(Function, const char *name)
{
    FARPROC address = GetProcAddress(GetModuleHandleW(L"ws2_32.dll"), name);
    return reinterpret_cast<Function>(reinterpret_cast<void (*)()>(address));
}

int WSAAPI watched_option(SOCKET socket, int level, int option, const char *value, int length)
{
    if (level == SOL_SOCKET && option == reuse_unicast_port && length == sizeof(BOOL) &&
        *reinterpret_cast<const BOOL *>(value) != FALSE)
        shares_its_port = socket;
    return winsock(watched_option, "setsockopt")(socket, level, option, value, length);
}

int WSAAPI watched_bind(SOCKET socket, const struct sockaddr *name, int length)
{
    ++binds;
    assert_int_equal(shares_its_port, socket);
    return winsock(watched_bind, "bind")(socket, name, length);
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

extern "C" {
extern const decltype(&watched_option) __imp_setsockopt = watched_option;
extern const decltype(&watched_bind) __imp_bind = watched_bind;
}

int main()
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(outgoing_ports_are_shared)};
    real::start();
    return cmocka_run_group_tests_name("real calls", tests, nullptr, nullptr);
}
