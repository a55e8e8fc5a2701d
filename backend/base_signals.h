// The signals that were caught for one base.
//
// Threads: the handler's, which may be any, and the base's loop.
#ifndef LIBEVENT_IOCP_BACKEND_BASE_SIGNALS_H
#define LIBEVENT_IOCP_BACKEND_BASE_SIGNALS_H

#include "compat/libevent.h"

#include <atomic>
#include <signal.h>

namespace iocp {

constexpr int signal_numbers = NSIG;

struct base_signals {
    struct event_overlapped wake; // posted by the signal handler
    std::atomic<bool> posted;     // its packet has not been taken
    std::atomic<int> caught[signal_numbers];
};

} // namespace iocp

#endif
