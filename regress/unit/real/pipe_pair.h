// Named pipes, made as programs make them, both ends overlapped; and bufferevents over them that collect what they are
// told.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_PIPE_PAIR_H
#define LIBEVENT_IOCP_REGRESS_REAL_PIPE_PAIR_H

#include "real/real_base.h"

#include <string>

#include "event2/iocp.h"

namespace real {

struct pipe_ends {
    HANDLE server;
    HANDLE client;
};

// `mode`: PIPE_TYPE_BYTE, or PIPE_TYPE_MESSAGE with PIPE_READMODE_MESSAGE, for both ends.
pipe_ends make_pipe(DWORD mode = PIPE_TYPE_BYTE, DWORD quota = 64 * 1024);
// The same, whose client's end is not overlapped, and inherited.
pipe_ends make_pipe_for_child();
bool handle_is_open(HANDLE handle);
// The loop closes it, within the deadline.
bool gets_closed(HANDLE handle);

// A bufferevent and what has become of it.
struct side {
    struct bufferevent *bev;
    std::string heard;
    short what;  // of the event callback, all of it so far
    int error;   // at the last one that had BEV_EVENT_ERROR
    size_t stop; // breaks the loop at so many bytes; 0: not
    bool echoes;
    bool stops_at_event; // the default
};

void side_open(side *self, HANDLE handle, int options = BEV_OPT_CLOSE_ON_FREE);
void side_free(side *self);
void side_write(side *self, const std::string &bytes);
// Runs the loop until so many bytes have been heard in all; or any event is told.
void hear(side *self, size_t bytes);
void wait_for_event(side *self);
// As many turns as it takes for what is in flight to start.
void turns(int count);

std::string pattern(size_t length, unsigned seed);

} // namespace real

#endif
