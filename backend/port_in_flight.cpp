#include "backend/port_in_flight.h"

namespace iocp {

namespace {

completion **in_flight_buckets(in_flight_table *self)
{
    return self->grown != nullptr ? self->grown : self->first_buckets;
}

// An operation begins with its OVERLAPPED, so that the addresses are the same. The multiplier, 2^64 divided by the
// golden ratio, spreads what an allocator has aligned.
size_t in_flight_bucket(const in_flight_table *self, const void *address)
{
    uint64_t spread = (reinterpret_cast<uintptr_t>(address) >> 4) * 0x9E3779B97F4A7C15ull;
    return static_cast<size_t>(spread >> 32) & (self->bucket_count - 1);
}

void in_flight_put(in_flight_table *self, completion *operation)
{
    completion **first = &in_flight_buckets(self)[in_flight_bucket(self, operation)];
    operation->next.in_bucket = *first;
    *first = operation;
}

void in_flight_grow(in_flight_table *self)
{
    size_t old_count = self->bucket_count;
    auto **more = static_cast<completion **>(mm_calloc(old_count * 2, sizeof(completion *)));
    if (more == nullptr)
        return;
    completion **old = in_flight_buckets(self);
    completion **freed = self->grown;
    self->grown = more;
    self->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; ++i)
        while (completion *operation = old[i]) {
            old[i] = operation->next.in_bucket;
            in_flight_put(self, operation);
        }
    free_if_any(freed);
}

} // namespace

void in_flight_init(in_flight_table *self)
{
    *self = {};
    self->bucket_count = first_in_flight_buckets;
}

void in_flight_destroy(in_flight_table *self)
{
    EVUTIL_ASSERT(self->count == 0);
    free_if_any(self->grown);
    self->grown = nullptr;
}

void in_flight_add(in_flight_table *self, completion *operation)
{
    if (self->count >= self->bucket_count)
        in_flight_grow(self);
    in_flight_put(self, operation);
    ++self->count;
}

void in_flight_remove(in_flight_table *self, completion *operation)
{
    completion **link = &in_flight_buckets(self)[in_flight_bucket(self, operation)];
    while (*link != operation)
        link = &(*link)->next.in_bucket;
    *link = operation->next.in_bucket;
    operation->next.in_bucket = nullptr;
    EVUTIL_ASSERT(self->count > 0);
    --self->count;
}

completion *in_flight_find(const in_flight_table *self, const OVERLAPPED *overlapped)
{
    completion *const *buckets = self->grown != nullptr ? self->grown : self->first_buckets;
    completion *found = buckets[in_flight_bucket(self, overlapped)];
    while (found != nullptr && &found->overlapped != overlapped)
        found = found->next.in_bucket;
    return found;
}

void in_flight_cancel_all(in_flight_table *self)
{
    completion **buckets = in_flight_buckets(self);
    for (size_t i = 0; i < self->bucket_count; ++i)
        for (completion *operation = buckets[i]; operation != nullptr; operation = operation->next.in_bucket)
            completion_cancel(operation);
}

} // namespace iocp
