#include "backend/fd_table.h"

namespace iocp {

namespace {

constexpr size_t first_capacity = 64;

size_t fd_table_home(evutil_socket_t fd, size_t capacity)
{
    // Handles are multiples of four; the multiplier (2^64 divided by the golden ratio) spreads them.
    uint64_t spread = (static_cast<uint64_t>(fd) >> 2) * 0x9E3779B97F4A7C15ull;
    return static_cast<size_t>(spread >> 32) & (capacity - 1);
}

// The slot of fd, or the empty one where it belongs. The table has room.
fd_table_slot *fd_table_probe(fd_table_slot *slots, size_t capacity, evutil_socket_t fd)
{
    size_t i = fd_table_home(fd, capacity);
    while (slots[i].value != nullptr && slots[i].fd != fd)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

bool fd_table_make_room(fd_table *self)
{
    if ((self->used + 1) * 3 <= self->capacity * 2)
        return true;
    size_t capacity = self->capacity != 0 ? self->capacity * 2 : first_capacity;
    auto *slots = static_cast<fd_table_slot *>(mm_calloc(capacity, sizeof(fd_table_slot)));
    if (slots == nullptr)
        return false;
    for (size_t i = 0; i < self->capacity; ++i)
        if (self->slots[i].value != nullptr)
            *fd_table_probe(slots, capacity, self->slots[i].fd) = self->slots[i];
    free_if_any(self->slots);
    self->slots = slots;
    self->capacity = capacity;
    return true;
}

} // namespace

void *fd_table_find(const fd_table *self, evutil_socket_t fd)
{
    return self->used != 0 ? fd_table_probe(self->slots, self->capacity, fd)->value : nullptr;
}

bool fd_table_add(fd_table *self, evutil_socket_t fd, void *value)
{
    if (!fd_table_make_room(self))
        return false;
    fd_table_slot *slot = fd_table_probe(self->slots, self->capacity, fd);
    EVUTIL_ASSERT(slot->value == nullptr);
    *slot = {fd, value};
    ++self->used;
    return true;
}

void fd_table_remove(fd_table *self, evutil_socket_t fd)
{
    if (fd_table_find(self, fd) == nullptr)
        return;
    // Move up the entries that probed past the hole, so that no search stops short at it.
    size_t mask = self->capacity - 1;
    size_t hole = static_cast<size_t>(fd_table_probe(self->slots, self->capacity, fd) - self->slots);
    for (size_t i = (hole + 1) & mask; self->slots[i].value != nullptr; i = (i + 1) & mask) {
        size_t home = fd_table_home(self->slots[i].fd, self->capacity);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            self->slots[hole] = self->slots[i];
            hole = i;
        }
    }
    self->slots[hole] = {0, nullptr};
    if (--self->used == 0) // a program that checks for leaks at exit finds none
        fd_table_clear(self);
}

void *fd_table_next(const fd_table *self, size_t *at)
{
    while (*at < self->capacity) {
        void *value = self->slots[(*at)++].value;
        if (value != nullptr)
            return value;
    }
    return nullptr;
}

void fd_table_clear(fd_table *self)
{
    free_if_any(self->slots);
    *self = {nullptr, 0, 0};
}

} // namespace iocp
