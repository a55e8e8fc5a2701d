// What an outer loop does, on the fake kernel: it waits for a handle. And threads that wait for events: one such thread
// runs where another waits for what it does.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_EMBED_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_EMBED_H

#include "support/fake_sys.h"

namespace iocp {
namespace fake {

// Waits as Windows' calls do, with INFINITE for ever. False: time ran out.
bool wait_outside(HANDLE handle, unsigned long wait_ms);
// The same by a thread pool, where a port ends the process.
bool wait_in_pool(HANDLE handle, unsigned long wait_ms);
size_t events_open();

} // namespace fake
} // namespace iocp

#endif
