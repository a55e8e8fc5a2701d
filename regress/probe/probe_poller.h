// Two AFD polls on a port of their own, and their ends in words.
#ifndef LIBEVENT_IOCP_REGRESS_PROBE_POLLER_H
#define LIBEVENT_IOCP_REGRESS_PROBE_POLLER_H

#include "probe.h"

namespace probe {

constexpr ULONG all_events = 0x1BF; // but for afd_connect, which a connected socket always has
constexpr ULONG all_events_but_send = all_events & ~static_cast<ULONG>(iocp::sys::afd_send);

struct poller {
    HANDLE afd;
    HANDLE port;
    iocp::sys::afd_poll_info info[2];
    OVERLAPPED overlapped[2];
};

void open(poller *self);
void close(poller *self);

iocp::sys::start_result start(poller *self, int which, SOCKET socket, ULONG wanted, bool exclusive = false);
// What the next packet says: "packet, events 001"; "no packet".
std::string end_of(poller *self, int64_t wait_us);
// One poll, started and waited for: "at once, events 004", or as end_of.
std::string poll_once(poller *self, SOCKET socket, ULONG wanted, int64_t wait_us);

} // namespace probe

#endif
