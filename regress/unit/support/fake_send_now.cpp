// The fake kernel's plain send, for who does not wait.
#include "support/fake_kernel.h"

namespace iocp {
namespace sys {

using namespace fake;

int send_now(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes)
{
    *bytes = 0;
    int error = enter(call::send);
    if (error != 0)
        return error;
    socket_object *on = find_socket(socket);
    if (on == nullptr)
        return WSAENOTSOCK;
    if (on->reset)
        return WSAECONNRESET;
    size_t length = capacity({buffers, buffers + count});
    if (on->send_room < length)
        check_that_it_does_not_wait("send", *on);
    if (on->send_room == 0)
        return WSAEWOULDBLOCK;
    for (DWORD i = 0; i < count; ++i) {
        on->sent.append(buffers[i].buf, buffers[i].len);
        *bytes += buffers[i].len;
    }
    return 0;
}

} // namespace sys
} // namespace iocp
