// An allocator for libevent that catches what the kernel, or we, do to memory after it was freed: a freed block is
// filled with a pattern and set aside, and the pattern is looked at again when the block is given back at last.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_GUARD_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_GUARD_H

#include <stddef.h>

namespace iocp {
namespace guard {

// Makes libevent allocate here. Before its first allocation; may be called again.
void install();

size_t live_blocks();
size_t live_bytes();
// True if the whole range lies in one block that is not freed.
bool is_live(const void *address, size_t length);
// False if somebody wrote to a freed block that is still set aside.
bool freed_blocks_untouched();
// Gives all freed blocks back. False as above.
bool forget_freed();

// The next `times` allocations, after `after` that succeed, return NULL.
void fail_allocations(unsigned after, unsigned times);
unsigned failed_allocations();

// What another thread does, or may do, in the midst of an allocation: called in each, but its own. NULL: nothing is.
void within_allocations(void (*action)());

} // namespace guard
} // namespace iocp

#endif
