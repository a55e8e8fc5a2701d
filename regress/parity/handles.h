// What the guarantees of what is no socket share (event2/iocp_*.h). They are for our library alone.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_HANDLES_H
#define LIBEVENT_IOCP_REGRESS_PARITY_HANDLES_H

#include "guarantees.h"

#include <event2/iocp.h>

namespace parity {

extern const guarantee handle_guarantees[];
extern const guarantee pipe_guarantees[];
extern const guarantee wait_guarantees[];
extern const guarantee process_guarantees[];
extern const guarantee directory_guarantees[];
extern const guarantee embedding_guarantees[];

// Nothing was made, for that reason.
inline bool is_refused(const void *made, int error)
{
    return made == nullptr && EVUTIL_SOCKET_ERROR() == error;
}

// A base that is on select.
inline struct event_base *select_base()
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

inline DWORD handles_open()
{
    DWORD count = 0;
    GetProcessHandleCount(GetCurrentProcess(), &count);
    return count;
}

// A name of a pipe that nobody has.
inline std::string new_pipe_name()
{
    static int number;
    return "\\\\.\\pipe\\guarantees-" + std::to_string(GetCurrentProcessId()) + "-" + std::to_string(++number);
}

// Both ends of a pipe of bytes, overlapped; theirs is the client's.
bool pipe_ends(HANDLE *ours, HANDLE *theirs);

} // namespace parity

#endif
