#include "backend/socket_registry.h"
#include "backend/backend.h"

namespace iocp {

namespace {

struct entry {
    evutil_socket_t fd;
    backend *owner; // NULL: an empty slot
    source *own;
    early_data early;
    bool reaches_port; // its overlapped operations do
    bool skips_packets;
    bool came_early; // its connection came with data
};

// Open addressing with linear probing over a power of two of slots, kept at most two thirds full.
struct registry {
    SRWLOCK lock;
    entry *slots;
    size_t capacity;
    size_t used;
};

registry sockets = {SRWLOCK_INIT, nullptr, 0, 0};

struct accepted_note {
    const backend *owner;
    evutil_socket_t fd;
    uint64_t turn;
};

accepted_note accepted; // under the same lock

constexpr size_t first_capacity = 64;

// For the length of a function.
struct exclusive {
    exclusive() { AcquireSRWLockExclusive(&sockets.lock); }
    ~exclusive() { ReleaseSRWLockExclusive(&sockets.lock); }
    exclusive(const exclusive &) = delete;
    exclusive &operator=(const exclusive &) = delete;
};

size_t home_of(evutil_socket_t fd, size_t capacity)
{
    // Handles are multiples of four; the multiplier (2^64 divided by the golden ratio) spreads them.
    uint64_t spread = (static_cast<uint64_t>(fd) >> 2) * 0x9E3779B97F4A7C15ull;
    return static_cast<size_t>(spread >> 32) & (capacity - 1);
}

// The entry of fd, or the empty slot where it belongs. The table has room.
entry *probe(entry *slots, size_t capacity, evutil_socket_t fd)
{
    size_t i = home_of(fd, capacity);
    while (slots[i].owner != nullptr && slots[i].fd != fd)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

entry *find(evutil_socket_t fd)
{
    if (sockets.used == 0)
        return nullptr;
    entry *found = probe(sockets.slots, sockets.capacity, fd);
    return found->owner != nullptr ? found : nullptr;
}

bool make_room()
{
    if ((sockets.used + 1) * 3 <= sockets.capacity * 2)
        return true;
    size_t capacity = sockets.capacity != 0 ? sockets.capacity * 2 : first_capacity;
    auto *slots = static_cast<entry *>(mm_calloc(capacity, sizeof(entry)));
    if (slots == nullptr)
        return false;
    for (size_t i = 0; i < sockets.capacity; ++i)
        if (sockets.slots[i].owner != nullptr)
            *probe(slots, capacity, sockets.slots[i].fd) = sockets.slots[i];
    mm_free(sockets.slots);
    sockets.slots = slots;
    sockets.capacity = capacity;
    return true;
}

void erase(entry *erased)
{
    mm_free(erased->early.bytes);
    // Move up the entries that probed past the hole, so that no search stops short at it.
    size_t mask = sockets.capacity - 1;
    size_t hole = static_cast<size_t>(erased - sockets.slots);
    for (size_t i = (hole + 1) & mask; sockets.slots[i].owner != nullptr; i = (i + 1) & mask) {
        size_t home = home_of(sockets.slots[i].fd, sockets.capacity);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            sockets.slots[hole] = sockets.slots[i];
            hole = i;
        }
    }
    sockets.slots[hole] = {};
    if (--sockets.used == 0) { // the last one frees the table: a program that checks for leaks at exit finds none
        mm_free(sockets.slots);
        sockets.slots = nullptr;
        sockets.capacity = 0;
    }
}

bool remember(backend *owner, evutil_socket_t fd, bool reaches_port, bool skips_packets)
{
    if (!make_room())
        return false;
    entry *kept = probe(sockets.slots, sockets.capacity, fd);
    if (kept->owner == nullptr)
        ++sockets.used;
    mm_free(kept->early.bytes); // of another socket, whose descriptor this was
    *kept = {fd, owner, nullptr, {nullptr, 0}, reaches_port, skips_packets, false};
    return true;
}

} // namespace

bool socket_bind(backend *owner, evutil_socket_t fd, bool *skips_packets)
{
    exclusive locked;
    HANDLE handle = reinterpret_cast<HANDLE>(fd);
    int error = port_associate(owner->on, handle);
    if (error != 0) {
        // On a port already. Ours, if we bound it; a port that we do not know would get our packets.
        entry *known = find(fd);
        if (known == nullptr || known->owner != owner)
            return false;
        *skips_packets = known->skips_packets;
        return known->reaches_port;
    }
    bool kernel_handle = sys::has_ifs_handle(static_cast<SOCKET>(fd));
    *skips_packets = kernel_handle && sys::skip_packet_on_success(handle) == 0;
    return remember(owner, fd, kernel_handle, *skips_packets) && kernel_handle;
}

bool socket_is_stale(backend *owner, evutil_socket_t fd)
{
    exclusive locked;
    if (port_associate(owner->on, reinterpret_cast<HANDLE>(fd)) != 0)
        return false;
    entry *known = find(fd);
    if (known != nullptr) {
        known->reaches_port = sys::has_ifs_handle(static_cast<SOCKET>(fd));
        known->skips_packets = false; // the new socket was not asked to
        known->came_early = false;
        mm_free(known->early.bytes);
        known->early = {nullptr, 0};
    }
    return true;
}

bool socket_set_source(source *added)
{
    exclusive locked;
    entry *known = find(added->fd);
    if (known == nullptr || known->owner != added->owner || known->own != nullptr)
        return false;
    known->own = added;
    return true;
}

void socket_clear_source(source *removed)
{
    exclusive locked;
    entry *known = find(removed->fd);
    if (known != nullptr && known->own == removed)
        known->own = nullptr;
}

source *socket_find_source(evutil_socket_t fd)
{
    AcquireSRWLockShared(&sockets.lock);
    entry *known = find(fd);
    source *own = known != nullptr ? known->own : nullptr;
    ReleaseSRWLockShared(&sockets.lock);
    return own;
}

bool socket_keep_early(backend *owner, evutil_socket_t fd, early_data early, bool back)
{
    exclusive locked;
    entry *known = find(fd);
    if (known == nullptr || known->owner != owner || known->early.bytes != nullptr || (back && !known->came_early))
        return false;
    known->early = early;
    known->came_early = true;
    return true;
}

early_data socket_take_early(backend *owner, evutil_socket_t fd)
{
    exclusive locked;
    early_data taken = {nullptr, 0};
    entry *known = find(fd);
    if (known == nullptr || known->owner != owner)
        return taken;
    taken = known->early;
    known->early = {nullptr, 0};
    return taken;
}

void socket_note_accepted(backend *owner, evutil_socket_t fd)
{
    exclusive locked;
    accepted = {owner, fd, owner->turn};
}

bool socket_was_just_accepted(backend *owner, evutil_socket_t fd)
{
    exclusive locked;
    bool was = accepted.owner == owner && accepted.fd == fd && accepted.turn == owner->turn;
    if (was)
        accepted.owner = nullptr;
    return was;
}

backend *socket_owner(evutil_socket_t fd)
{
    AcquireSRWLockShared(&sockets.lock);
    entry *known = find(fd);
    backend *owner = known != nullptr ? known->owner : nullptr;
    ReleaseSRWLockShared(&sockets.lock);
    return owner;
}

void socket_forget(evutil_socket_t fd)
{
    exclusive locked;
    if (accepted.fd == fd)
        accepted.owner = nullptr;
    entry *known = find(fd);
    if (known != nullptr && known->own == nullptr)
        erase(known);
}

void socket_forget_all(backend *leaving)
{
    exclusive locked;
    if (accepted.owner == leaving)
        accepted.owner = nullptr;
    for (size_t i = 0; i < sockets.capacity;) {
        if (sockets.slots[i].owner != leaving) {
            ++i;
            continue;
        }
        if (sockets.slots[i].own != nullptr)
            sockets.slots[i].own->owner = nullptr;
        erase(&sockets.slots[i]); // may move another entry here: look at this slot again
    }
}

} // namespace iocp
