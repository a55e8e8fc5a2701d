// Counts what libevent has allocated and what the process has open.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_ACCOUNTING_H
#define LIBEVENT_IOCP_REGRESS_REAL_ACCOUNTING_H

#include <stddef.h>

namespace accounting {

// Makes libevent allocate through us. To be called before anything else of libevent.
void start();

// Counted memory, for others that can be told where to allocate.
void *allocate(size_t size);
void *reallocate(void *memory, size_t size);
void release(void *memory);

// What libevent and those others hold at present.
size_t live_blocks();
size_t live_bytes();

// Handles of this process, sockets included.
unsigned long open_handles();
// Memory that the process shares with nobody, in bytes.
size_t private_bytes();

// Says, as a program's last line, "clean" or "leak" with the blocks, bytes and handles that are left. `before` is the
// number of handles before the program's work, `during` while it worked: a count that does not see its sockets would
// prove nothing. `forgiven` are handles that others have lost. Returns the exit status: 0 if nothing is left.
int report(unsigned long before, unsigned long during, long forgiven);

} // namespace accounting

#endif
