// The kernel's door: which of many sockets are ready, told by one call.
#include "compat/sys.h"
#include "compat/sys_error.h"

namespace iocp {
namespace sys {

namespace {

// An fd_set with more room: Winsock goes by the count alone.
struct socket_set {
    u_int count;
    SOCKET sockets[max_looked_at];
};

fd_set *as_fd_set(socket_set *set)
{
    return set->count != 0 ? reinterpret_cast<fd_set *>(set) : nullptr;
}

bool holds(const socket_set *set, SOCKET socket)
{
    for (u_int i = 0; i < set->count; ++i)
        if (set->sockets[i] == socket)
            return true;
    return false;
}

// Winsock leaves those in the set that are ready: in the order in which they were given, though nobody has promised
// that.
void mark_found(const socket_set *set, const look *looks, unsigned count, bool *found)
{
    u_int next = 0;
    for (unsigned i = 0; i < count; ++i) {
        found[i] = next < set->count && set->sockets[next] == looks[i].socket;
        next += found[i] ? 1 : 0;
    }
    for (unsigned i = 0; i < count && next != set->count; ++i)
        found[i] = holds(set, looks[i].socket);
}

} // namespace

int look_now(look *looks, unsigned count)
{
    socket_set reads, writes;
    reads.count = writes.count = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (looks[i].reads)
            reads.sockets[reads.count++] = looks[i].socket;
        if (looks[i].writes)
            writes.sockets[writes.count++] = looks[i].socket;
    }
    socket_set fails = writes; // that a connect has failed is told there
    struct timeval at_once = {0, 0};
    if (select(0, as_fd_set(&reads), as_fd_set(&writes), as_fd_set(&fails), &at_once) == SOCKET_ERROR)
        return last_winsock_code();
    bool read[max_looked_at], written[max_looked_at], failed[max_looked_at];
    mark_found(&reads, looks, count, read);
    mark_found(&writes, looks, count, written);
    mark_found(&fails, looks, count, failed);
    for (unsigned i = 0; i < count; ++i) {
        looks[i].reads = looks[i].reads && read[i];
        looks[i].writes = written[i];
        looks[i].fails = failed[i] && !written[i];
    }
    return 0;
}

} // namespace sys
} // namespace iocp
