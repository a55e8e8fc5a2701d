#include "backend/socket_registry.h"

#include <atomic>

namespace iocp {

namespace {

struct registry {
    SRWLOCK lock;
    fd_table owners;
    std::atomic<unsigned> closes;
};

registry sockets = {SRWLOCK_INIT, {nullptr, 0, 0}, {0}};

// For the length of a function.
struct exclusive {
    exclusive() { AcquireSRWLockExclusive(&sockets.lock); }
    ~exclusive() { ReleaseSRWLockExclusive(&sockets.lock); }
    exclusive(const exclusive &) = delete;
    exclusive &operator=(const exclusive &) = delete;
};

} // namespace

bool registry_add(evutil_socket_t fd, backend *owner)
{
    exclusive locked;
    // Another base may share the socket, or have had one of that number which was closed behind its back: the last is asked.
    fd_table_remove(&sockets.owners, fd);
    return fd_table_add(&sockets.owners, fd, owner);
}

void registry_remove(evutil_socket_t fd, const backend *owner)
{
    exclusive locked;
    if (fd_table_find(&sockets.owners, fd) == owner)
        fd_table_remove(&sockets.owners, fd);
}

backend *registry_close(evutil_socket_t fd)
{
    sockets.closes.fetch_add(1, std::memory_order_relaxed);
    return registry_owner(fd);
}

backend *registry_owner(evutil_socket_t fd)
{
    AcquireSRWLockShared(&sockets.lock);
    auto *owner = static_cast<backend *>(fd_table_find(&sockets.owners, fd));
    ReleaseSRWLockShared(&sockets.lock);
    return owner;
}

unsigned registry_closes()
{
    return sockets.closes.load(std::memory_order_relaxed);
}

} // namespace iocp
