#include "backend/socket_registry.h"

#include "compat/sys.h"

namespace iocp {

namespace {

// So many that each handle has its own in all but the largest processes, and another's close is seldom taken for one's
// own. Of these 64 KiB, pages are used whose handles are closed.
constexpr unsigned close_counters = 16 * 1024;

// Who has the descriptor besides the one that came last. As a rule there is none: what few have is apart.
struct earlier_owner : fd_table_entry {
    owned_descriptor *is;
    earlier_owner *before;
};

struct registry {
    SRWLOCK lock;
    fd_table owners;  // the last of each descriptor
    fd_table earlier; // the one before, of the descriptors that have any
    std::atomic<unsigned> closes[close_counters];
};

registry sockets = {SRWLOCK_INIT, {nullptr, 0, 0}, {nullptr, 0, 0}, {}};

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

owned_descriptor *registry_last(evutil_socket_t fd)
{
    return static_cast<owned_descriptor *>(fd_table_find(&sockets.owners, fd));
}

earlier_owner *registry_earlier(evutil_socket_t fd)
{
    return static_cast<earlier_owner *>(fd_table_find(&sockets.earlier, fd));
}

// False for want of memory.
bool registry_push_earlier(owned_descriptor *last)
{
    auto *pushed = static_cast<earlier_owner *>(mm_calloc(1, sizeof(earlier_owner)));
    if (pushed == nullptr)
        return false;
    pushed->fd = last->fd;
    pushed->is = last;
    pushed->before = registry_earlier(last->fd);
    bool is_in = fd_table_put(&sockets.earlier, pushed);
    if (!is_in)
        mm_free(pushed);
    return is_in;
}

// NULL: there is none (that is `one`).
owned_descriptor *registry_take_earlier(evutil_socket_t fd, const owned_descriptor *one)
{
    earlier_owner *after = nullptr, *found = registry_earlier(fd);
    for (; found != nullptr && one != nullptr && found->is != one; found = found->before)
        after = found;
    if (found == nullptr)
        return nullptr;
    if (after != nullptr)
        after->before = found->before;
    else if (found->before != nullptr)
        fd_table_put(&sockets.earlier, found->before); // in its place: no memory is needed
    else
        fd_table_remove(&sockets.earlier, fd);
    owned_descriptor *taken = found->is;
    mm_free(found);
    return taken;
}

// The one that came last but so many; NULL: there is none.
owned_descriptor *registry_before_last(evutil_socket_t fd, unsigned later)
{
    if (later == 0)
        return registry_last(fd);
    const earlier_owner *found = registry_earlier(fd);
    while (found != nullptr && --later > 0)
        found = found->before;
    return found != nullptr ? found->is : nullptr;
}

} // namespace

bool registry_add(owned_descriptor *added)
{
    exclusive locked;
    owned_descriptor *last = registry_last(added->fd);
    if (last == nullptr)
        return fd_table_add(&sockets.owners, added);
    return registry_push_earlier(last) && fd_table_put(&sockets.owners, added);
}

void registry_remove(const owned_descriptor *removed)
{
    exclusive locked;
    bool is_last = registry_last(removed->fd) == removed;
    owned_descriptor *earlier = registry_take_earlier(removed->fd, is_last ? nullptr : removed);
    if (is_last && earlier != nullptr)
        fd_table_put(&sockets.owners, earlier);
    else if (is_last)
        fd_table_remove(&sockets.owners, removed->fd);
}

void registry_note_close(evutil_socket_t fd)
{
    registry_closes_of(fd)->fetch_add(1, std::memory_order_relaxed);
}

registry_use::registry_use(evutil_socket_t fd, unsigned later)
{
    AcquireSRWLockShared(&sockets.lock);
    const owned_descriptor *found = registry_before_last(fd, later);
    owner = found != nullptr ? found->owner : nullptr;
    has_earlier = registry_before_last(fd, later + 1) != nullptr;
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
    for (unsigned looks = 0; *backend_uses(owner) != 0; ++looks)
        sys::let_others_run(looks);
}

unsigned registry_closes(evutil_socket_t fd)
{
    return registry_closes_of(fd)->load(std::memory_order_relaxed);
}

} // namespace iocp
