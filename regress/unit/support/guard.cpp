#include "support/guard.h"

#include <deque>
#include <map>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event2/event.h"

namespace iocp {
namespace guard {

namespace {

constexpr unsigned char fresh_fill = 0xCD; // so that nothing works by finding zeros
constexpr unsigned char freed_fill = 0xDD;

// How many freed blocks are set aside: enough for a late packet's, few enough to forget.
constexpr size_t max_set_aside = 8192;

struct freed_block {
    unsigned char *start;
    size_t length;
};

struct allocator {
    std::map<uintptr_t, size_t> live;
    std::deque<freed_block> set_aside;
    size_t bytes;
    bool touched;
    unsigned fail_after;
    unsigned fail_times;
    unsigned failed;
    void (*within)();
};

allocator *heap;

uintptr_t as_number(const void *address)
{
    return reinterpret_cast<uintptr_t>(address);
}

bool untouched(const freed_block &block)
{
    for (size_t i = 0; i < block.length; ++i)
        if (block.start[i] != freed_fill)
            return false;
    return true;
}

bool must_fail()
{
    if (heap->fail_times == 0)
        return false;
    if (heap->fail_after > 0) {
        --heap->fail_after;
        return false;
    }
    --heap->fail_times;
    ++heap->failed;
    return true;
}

void let_others_run()
{
    void (*action)() = heap->within;
    if (action == nullptr)
        return;
    heap->within = nullptr;
    action();
    heap->within = action;
}

void *allocate(size_t length)
{
    let_others_run();
    if (must_fail())
        return nullptr;
    void *start = malloc(length != 0 ? length : 1);
    if (start == nullptr)
        return nullptr;
    memset(start, fresh_fill, length);
    heap->live.emplace(as_number(start), length);
    heap->bytes += length;
    return start;
}

void release_oldest()
{
    freed_block oldest = heap->set_aside.front();
    heap->set_aside.pop_front();
    if (!untouched(oldest))
        heap->touched = true;
    free(oldest.start);
}

void release(void *start)
{
    if (start == nullptr)
        return;
    auto found = heap->live.find(as_number(start));
    if (found == heap->live.end()) {
        heap->touched = true; // freed twice, or never ours
        return;
    }
    heap->bytes -= found->second;
    memset(start, freed_fill, found->second);
    heap->set_aside.push_back({static_cast<unsigned char *>(start), found->second});
    heap->live.erase(found);
    if (heap->set_aside.size() > max_set_aside)
        release_oldest();
}

void *reallocate(void *start, size_t length)
{
    if (start == nullptr)
        return allocate(length);
    size_t old = heap->live.at(as_number(start));
    void *moved = allocate(length);
    if (moved == nullptr)
        return nullptr;
    memcpy(moved, start, old < length ? old : length);
    release(start);
    return moved;
}

} // namespace

void install()
{
    if (heap != nullptr)
        return;
    heap = new allocator();
    event_set_mem_functions(allocate, reallocate, release);
}

size_t live_blocks()
{
    return heap->live.size();
}

size_t live_bytes()
{
    return heap->bytes;
}

bool is_live(const void *address, size_t length)
{
    auto after = heap->live.upper_bound(as_number(address));
    if (after == heap->live.begin())
        return false;
    auto block = --after;
    return as_number(address) + length <= block->first + block->second;
}

bool freed_blocks_untouched()
{
    for (const freed_block &block : heap->set_aside)
        if (!untouched(block))
            heap->touched = true;
    return !heap->touched;
}

bool forget_freed()
{
    while (!heap->set_aside.empty())
        release_oldest();
    bool was_touched = heap->touched;
    heap->touched = false;
    return !was_touched;
}

void fail_allocations(unsigned after, unsigned times)
{
    heap->fail_after = after;
    heap->fail_times = times;
    heap->failed = 0;
}

unsigned failed_allocations()
{
    return heap->failed;
}

void within_allocations(void (*action)())
{
    heap->within = action;
}

} // namespace guard
} // namespace iocp
