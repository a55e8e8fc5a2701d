// Locks for libevent that forgive nothing, unlike Windows' own, which a thread may take twice. libevent's own rules
// (evthread_enable_lock_debugging) say which lock may be, and which functions want one held; a breach of them fails the
// test. There is one thread.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_STRICT_LOCKS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_STRICT_LOCKS_H

namespace iocp {

// Before anything of libevent's is made. May be called again.
void strict_locks_start();

// Taken, and not let go of: of all locks together.
int strict_locks_held();

// Once, as soon as none is held any more. NULL: not at all.
void strict_locks_when_free(void (*action)());

} // namespace iocp

#endif
