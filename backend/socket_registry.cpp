#include "backend/socket_registry.h"

#include "compat/sys.h"

namespace iocp {

namespace {

// So many that each handle has its own in all but the largest processes, and another's close is seldom taken for one's
// own. Of these 64 KiB, pages are used whose handles are closed.
constexpr unsigned close_counters = 16 * 1024;

struct registry {
    SRWLOCK lock;
    fd_table owners;
    std::atomic<unsigned> closes[close_counters];
};

registry sockets = {SRWLOCK_INIT, {nullptr, 0, 0}, {}};

std::atomic<unsigned> *registry_closes_of(evutil_socket_t fd)
{
    return &sockets.closes[(static_cast<uintptr_t>(fd) >> 2) % close_counters]; // Windows counts handles by fours
}

// For the length of a function.
struct exclusive {
    exclusive() { AcquireSRWLockExclusive(&sockets.lock); }
    ~exclusive() { ReleaseSRWLockExclusive(&sockets.lock); }
    exclusive(const exclusive &) = delete;
    exclusive &operator=(const exclusive &) = delete;
};

} // namespace

bool registry_add(owned_descriptor *added)
{
    exclusive locked;
    // Another base may share the socket, or have had one of that number which was closed behind its back: the last is
    // asked.
    return fd_table_put(&sockets.owners, added);
}

void registry_remove(const owned_descriptor *removed)
{
    exclusive locked;
    if (fd_table_find(&sockets.owners, removed->fd) == removed)
        fd_table_remove(&sockets.owners, removed->fd);
}

void registry_note_close(evutil_socket_t fd)
{
    registry_closes_of(fd)->fetch_add(1, std::memory_order_relaxed);
}

registry_use::registry_use(evutil_socket_t fd)
{
    AcquireSRWLockShared(&sockets.lock);
    auto *found = static_cast<owned_descriptor *>(fd_table_find(&sockets.owners, fd));
    owner = found != nullptr ? found->owner : nullptr;
    if (owner != nullptr)
        ++*backend_uses(owner);
    ReleaseSRWLockShared(&sockets.lock);
}

registry_use::~registry_use()
{
    if (owner != nullptr)
        --*backend_uses(owner);
}

void registry_await_uses(backend *owner)
{
    while (*backend_uses(owner) != 0)
        sys::let_others_run();
}

unsigned registry_closes(evutil_socket_t fd)
{
    return registry_closes_of(fd)->load(std::memory_order_relaxed);
}

} // namespace iocp
