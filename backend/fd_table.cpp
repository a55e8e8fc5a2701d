#include "backend/fd_table.h"

namespace iocp {

namespace {

constexpr size_t first_capacity = 16;

// How far it is from one slot up to another, round the end.
size_t fd_table_distance(size_t from, size_t to, size_t capacity)
{
    return to >= from ? to - from : to + capacity - from;
}

bool fd_table_make_room(fd_table *self)
{
    if ((self->used + 1) * 8 <= self->capacity * 7)
        return true;
    size_t capacity = self->capacity != 0 ? self->capacity + self->capacity / 4 : first_capacity;
    auto **slots = static_cast<fd_table_entry **>(mm_calloc(capacity, sizeof(fd_table_entry *)));
    if (slots == nullptr)
        return false;
    for (size_t i = 0; i < self->capacity; ++i)
        if (self->slots[i] != nullptr)
            *fd_table_probe(slots, capacity, self->slots[i]->fd) = self->slots[i];
    free_if_any(self->slots);
    self->slots = slots;
    self->capacity = capacity;
    return true;
}

} // namespace

bool fd_table_add(fd_table *self, fd_table_entry *added)
{
    if (!fd_table_make_room(self))
        return false;
    fd_table_entry **slot = fd_table_probe(self->slots, self->capacity, added->fd);
    EVUTIL_ASSERT(*slot == nullptr);
    *slot = added;
    ++self->used;
    return true;
}

bool fd_table_put(fd_table *self, fd_table_entry *added)
{
    if (fd_table_find(self, added->fd) == nullptr)
        return fd_table_add(self, added);
    *fd_table_probe(self->slots, self->capacity, added->fd) = added;
    return true;
}

void fd_table_remove(fd_table *self, evutil_socket_t fd)
{
    if (fd_table_find(self, fd) == nullptr)
        return;
    // Move up the entries that probed past the hole, so that no search stops short at it.
    size_t capacity = self->capacity;
    auto hole = static_cast<size_t>(fd_table_probe(self->slots, capacity, fd) - self->slots);
    for (size_t i = fd_table_after(hole, capacity); self->slots[i] != nullptr; i = fd_table_after(i, capacity)) {
        size_t home = fd_table_home(self->slots[i]->fd, capacity);
        if (fd_table_distance(home, i, capacity) >= fd_table_distance(hole, i, capacity)) {
            self->slots[hole] = self->slots[i];
            hole = i;
        }
    }
    self->slots[hole] = nullptr;
    if (--self->used == 0) // a program that checks for leaks at exit finds none
        fd_table_clear(self);
}

fd_table_entry *fd_table_next(const fd_table *self, size_t *at)
{
    while (*at < self->capacity) {
        fd_table_entry *entry = self->slots[(*at)++];
        if (entry != nullptr)
            return entry;
    }
    return nullptr;
}

void fd_table_clear(fd_table *self)
{
    free_if_any(self->slots);
    *self = {nullptr, 0, 0};
}

} // namespace iocp
