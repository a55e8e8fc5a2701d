#include "backend/orphans.h"

#include "compat/sys.h"

#include <atomic>

namespace iocp {

namespace {

struct orphanage {
    SRWLOCK lock;
    fd_table of; // received_bytes
};

orphanage orphans = {SRWLOCK_INIT, {nullptr, 0, 0}};
std::atomic<unsigned> orphan_count; // as a rule 0

// With the lock held.
received_bytes *orphans_remove(evutil_socket_t fd)
{
    auto *found = static_cast<received_bytes *>(fd_table_find(&orphans.of, fd));
    if (found == nullptr)
        return nullptr;
    fd_table_remove(&orphans.of, fd);
    --orphan_count;
    return found;
}

received_bytes *orphans_take_any(evutil_socket_t fd)
{
    if (!orphans_are_there())
        return nullptr;
    AcquireSRWLockExclusive(&orphans.lock);
    received_bytes *taken = orphans_remove(fd);
    ReleaseSRWLockExclusive(&orphans.lock);
    return taken;
}

} // namespace

bool orphans_keep(evutil_socket_t fd, received_bytes *left)
{
    EVUTIL_ASSERT(left->connection != 0);
    left->fd = fd;
    AcquireSRWLockExclusive(&orphans.lock);
    received_bytes *before = orphans_remove(fd);
    bool is_kept = fd_table_add(&orphans.of, left);
    if (is_kept)
        ++orphan_count;
    ReleaseSRWLockExclusive(&orphans.lock);
    received_free(before);
    return is_kept;
}

bool orphans_are_there()
{
    return orphan_count.load(std::memory_order_relaxed) != 0;
}

bool orphans_have(evutil_socket_t fd)
{
    if (!orphans_are_there())
        return false;
    AcquireSRWLockShared(&orphans.lock);
    bool has = fd_table_find(&orphans.of, fd) != nullptr;
    ReleaseSRWLockShared(&orphans.lock);
    return has;
}

received_bytes *orphans_take(evutil_socket_t fd)
{
    received_bytes *taken = orphans_take_any(fd);
    if (taken == nullptr || taken->connection == sys::connection_mark(static_cast<SOCKET>(fd)))
        return taken;
    received_free(taken);
    return nullptr;
}

void orphans_forget(evutil_socket_t fd)
{
    received_free(orphans_take_any(fd));
}

} // namespace iocp
