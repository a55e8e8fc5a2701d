// The signals that were caught for one base.
//
// Threads: the handler's, which may be any; whoever takes the packet; and the base's loop, in whose turn the events are
// activated.
#ifndef LIBEVENT_IOCP_BACKEND_BASE_SIGNALS_H
#define LIBEVENT_IOCP_BACKEND_BASE_SIGNALS_H

#include "compat/libevent.h"

#include <atomic>
#include <signal.h>

namespace iocp {

constexpr int signal_numbers = NSIG;

struct base_signals {
    struct event_overlapped wake; // posted by the signal handler
    std::atomic<bool> posted;     // its packet has not been taken, or its events have not been activated for it
    bool taken;                   // the latter; with the base's lock held
    std::atomic<int> caught[signal_numbers];
};

} // namespace iocp

#endif
