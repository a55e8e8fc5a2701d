// Counts what libevent has allocated and what the process has open.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_ACCOUNTING_H
#define LIBEVENT_IOCP_REGRESS_REAL_ACCOUNTING_H

#include <stddef.h>

namespace accounting {

// Makes libevent allocate through us. To be called before anything else of libevent.
void start();

// What libevent holds at present.
size_t live_blocks();
size_t live_bytes();

// Handles of this process, sockets included.
unsigned long open_handles();
// Memory that the process shares with nobody, in bytes.
size_t private_bytes();

} // namespace accounting

#endif
