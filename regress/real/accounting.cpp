#include "accounting.h"

#include <winsock2.h>
#include <windows.h>
#include <psapi.h>

#include <atomic>
#include <stdio.h>
#include <stdlib.h>
#include <winternl.h>

#include <event2/event.h>

namespace {

// SystemHandleInformation, whose structures winternl.h lacks: every handle of every process.
constexpr int system_handle_information = 16;
constexpr ULONG all_handles_size = 8 * 1024 * 1024;

struct handle_entry {
    USHORT process;
    USHORT creator;
    UCHAR type;
    UCHAR flags;
    USHORT handle;
    PVOID object;
    ULONG access;
};

struct all_handles {
    ULONG count;
    handle_entry entries[1];
};

std::atomic<size_t> blocks;
std::atomic<size_t> bytes;

// In front of each block: its size, and room to keep the alignment of malloc.
union header {
    size_t size;
    max_align_t align;
};

void *count_in(header *block, size_t size)
{
    if (!block)
        return nullptr;
    block->size = size;
    blocks += 1;
    bytes += size;
    return block + 1;
}

header *count_out(void *memory)
{
    header *block = static_cast<header *>(memory) - 1;
    blocks -= 1;
    bytes -= block->size;
    return block;
}

} // namespace

namespace accounting {

void *allocate(size_t size)
{
    return count_in(static_cast<header *>(malloc(sizeof(header) + size)), size);
}

void release(void *memory)
{
    if (memory)
        free(count_out(memory));
}

void *reallocate(void *memory, size_t size)
{
    if (!memory)
        return allocate(size);
    header *old = count_out(memory);
    size_t old_size = old->size;
    auto *grown = static_cast<header *>(realloc(old, sizeof(header) + size));
    if (!grown) {
        count_in(old, old_size);
        return nullptr;
    }
    return count_in(grown, size);
}

void start()
{
    event_set_mem_functions(allocate, reallocate, release);
}

size_t live_blocks()
{
    return blocks;
}

size_t live_bytes()
{
    return bytes;
}

unsigned long open_handles()
{
    DWORD count = 0;
    if (GetProcessHandleCount(GetCurrentProcess(), &count) && count)
        return count;
    // Wine 8 does not count, but it lists.
    auto *all = static_cast<all_handles *>(malloc(all_handles_size));
    auto what = static_cast<SYSTEM_INFORMATION_CLASS>(system_handle_information);
    if (NtQuerySystemInformation(what, all, all_handles_size, nullptr) == 0) {
        for (ULONG i = 0; i < all->count; ++i)
            count += all->entries[i].process == GetCurrentProcessId();
    }
    free(all);
    return count;
}

size_t private_bytes()
{
    PROCESS_MEMORY_COUNTERS_EX counters = {};
    counters.cb = sizeof(counters);
    if (!GetProcessMemoryInfo(GetCurrentProcess(), reinterpret_cast<PROCESS_MEMORY_COUNTERS *>(&counters),
                              sizeof(counters)))
        return 0;
    // Wine fills only the other of the two, which have the same meaning.
    return counters.PrivateUsage ? counters.PrivateUsage : counters.PagefileUsage;
}

int report(unsigned long before, unsigned long during, long forgiven)
{
    long more_handles = static_cast<long>(open_handles()) - static_cast<long>(before) - forgiven;
    bool counted = during > before;
    bool clean = blocks == 0 && counted && more_handles <= 0;
    printf("%s: %zu blocks, %zu bytes, %ld handles more than the %lu before%s\n", clean ? "clean" : "leak",
           live_blocks(), live_bytes(), more_handles, before, counted ? "" : " (handles cannot be counted here)");
    return clean ? 0 : 1;
}

} // namespace accounting
