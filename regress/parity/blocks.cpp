#include "blocks.h"

#include <winsock2.h>

#include <event2/event.h>

#include <stdlib.h>

namespace parity {

namespace {

long live;

// Scripts in which any are denied have one thread.
bool turning;
int first_denied, last_denied, asked;
long denied;

bool is_denied()
{
    if (!turning || last_denied == 0)
        return false;
    ++asked;
    bool now = asked >= first_denied && asked <= last_denied;
    denied += now;
    return now;
}

void *counted_malloc(size_t size)
{
    if (is_denied())
        return nullptr;
    InterlockedIncrement(&live);
    return malloc(size);
}

void *counted_realloc(void *block, size_t size)
{
    if (is_denied())
        return nullptr;
    if (block == nullptr)
        InterlockedIncrement(&live);
    return realloc(block, size);
}

void counted_free(void *block)
{
    if (block != nullptr)
        InterlockedDecrement(&live);
    free(block);
}

} // namespace

void count_blocks()
{
    event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
}

long live_blocks()
{
    return live;
}

void deny_blocks(int first, int count)
{
    first_denied = first;
    last_denied = count == 0 ? 0 : first + count - 1;
    asked = 0;
}

long denied_blocks()
{
    return denied;
}

void loop_turns(bool turns)
{
    turning = turns;
}

} // namespace parity
