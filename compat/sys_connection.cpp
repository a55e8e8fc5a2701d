// The kernel's door: connects and accepts.
#include "compat/sys.h"
#include "compat/sys_error.h"
#include "compat/sys_winsock.h"

#include <atomic>

// Named in neither mingw's nor older SDK's headers.
#ifndef SO_REUSE_UNICASTPORT
#define SO_REUSE_UNICASTPORT 0x3007
#endif
#ifndef SO_UPDATE_CONNECT_CONTEXT
#define SO_UPDATE_CONNECT_CONTEXT 0x7010
#endif

namespace iocp {
namespace sys {

namespace {

template <typename Function> int ask_for_extension(SOCKET socket, GUID id, Function *function)
{
    DWORD bytes = 0;
    if (WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), function, sizeof(*function), &bytes,
                 nullptr, nullptr) == 0)
        return 0;
    return last_winsock_code();
}

// The functions differ between providers, so each socket is asked for its own, unless all have the system's.
template <typename Function> int extension(SOCKET socket, GUID id, std::atomic<Function> *shared, Function *function)
{
    *function = *shared;
    if (*function != nullptr)
        return 0;
    int error = ask_for_extension(socket, id, function);
    if (error == 0 && nothing_is_layered())
        *shared = *function;
    return error;
}

// A bind takes one of some 16,000 ports for itself, unless the socket may share it with connections to other peers, as
// connect() has it without being asked. Windows 10 and later; before, those ports were all that there was.
void share_outgoing_port(SOCKET socket)
{
    static std::atomic<bool> known{true};
    BOOL share = TRUE;
    if (known &&
        setsockopt(socket, SOL_SOCKET, SO_REUSE_UNICASTPORT, reinterpret_cast<char *>(&share), sizeof(share)) != 0 &&
        WSAGetLastError() == WSAENOPROTOOPT)
        known = false;
}

std::atomic<LPFN_CONNECTEX> shared_connect_ex{nullptr};
std::atomic<LPFN_ACCEPTEX> shared_accept_ex{nullptr};
std::atomic<LPFN_GETACCEPTEXSOCKADDRS> shared_get_addresses{nullptr};

} // namespace

void forget_extensions()
{
    shared_connect_ex = nullptr;
    shared_accept_ex = nullptr;
    shared_get_addresses = nullptr;
}

start_result connect(SOCKET socket, const struct sockaddr *address, int length, OVERLAPPED *overlapped, bool skips)
{
    LPFN_CONNECTEX connect_ex;
    int error = extension(socket, WSAID_CONNECTEX, &shared_connect_ex, &connect_ex);
    if (error != 0)
        return {started::failed, WSAEOPNOTSUPP, 0};
    bool succeeded = connect_ex(socket, address, length, nullptr, 0, nullptr, overlapped) != FALSE;
    return winsock_outcome(succeeded, 0, skips);
}

int bind_any(SOCKET socket, int family)
{
    share_outgoing_port(socket);
    struct sockaddr_storage address = {};
    address.ss_family = static_cast<ADDRESS_FAMILY>(family);
    int length = family == AF_INET6 ? static_cast<int>(sizeof(struct sockaddr_in6))
                                    : static_cast<int>(sizeof(struct sockaddr_in));
    if (bind(socket, reinterpret_cast<struct sockaddr *>(&address), length) == 0)
        return 0;
    int error = WSAGetLastError();
    return error == WSAEINVAL ? 0 : winsock_code(error); // WSAEINVAL: already bound
}

int finish_connect(SOCKET socket)
{
    if (setsockopt(socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, nullptr, 0) == 0)
        return 0;
    return last_winsock_code();
}

start_result accept(SOCKET listener, SOCKET socket, void *buffer, DWORD data_length, DWORD address_length,
                    OVERLAPPED *overlapped, bool skips)
{
    LPFN_ACCEPTEX accept_ex;
    int error = extension(listener, WSAID_ACCEPTEX, &shared_accept_ex, &accept_ex);
    if (error != 0)
        return {started::failed, is_shortage(error) ? error : WSAEOPNOTSUPP, 0};
    DWORD bytes = 0;
    bool succeeded =
        accept_ex(listener, socket, buffer, data_length, address_length, address_length, &bytes, overlapped) != FALSE;
    return winsock_outcome(succeeded, bytes, skips);
}

int finish_accept(SOCKET listener, SOCKET socket)
{
    if (setsockopt(socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, reinterpret_cast<char *>(&listener),
                   sizeof(listener)) == 0)
        return 0;
    return last_winsock_code();
}

void accept_addresses(SOCKET listener, void *buffer, DWORD data_length, DWORD address_length, struct sockaddr **local,
                      int *local_length, struct sockaddr **remote, int *remote_length)
{
    LPFN_GETACCEPTEXSOCKADDRS get_addresses;
    *local = *remote = nullptr;
    *local_length = *remote_length = 0;
    if (extension(listener, WSAID_GETACCEPTEXSOCKADDRS, &shared_get_addresses, &get_addresses) == 0)
        get_addresses(buffer, data_length, address_length, address_length, local, local_length, remote, remote_length);
}

int accept_now(SOCKET listener, SOCKET *accepted, struct sockaddr *address, int *length)
{
    *accepted = ::accept(listener, address, length);
    return *accepted != INVALID_SOCKET ? 0 : last_winsock_code();
}

bool find_extensions(LPFN_ACCEPTEX *accept_ex, LPFN_CONNECTEX *connect_ex, LPFN_GETACCEPTEXSOCKADDRS *addresses)
{
    *accept_ex = nullptr;
    *connect_ex = nullptr;
    *addresses = nullptr;
    SOCKET any = ::socket(AF_INET, SOCK_STREAM, 0);
    if (any == INVALID_SOCKET)
        return false;
    bool answers = !is_shortage(ask_for_extension(any, WSAID_ACCEPTEX, accept_ex)) &&
                   !is_shortage(ask_for_extension(any, WSAID_CONNECTEX, connect_ex)) &&
                   !is_shortage(ask_for_extension(any, WSAID_GETACCEPTEXSOCKADDRS, addresses));
    closesocket(any);
    return answers;
}

} // namespace sys
} // namespace iocp
