// The name of a pipe, as the kernel is given it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_PIPES_PIPE_NAME_H
#define LIBEVENT_IOCP_BUFFEREVENT_PIPES_PIPE_NAME_H

#include "compat/win.h"

namespace iocp {

// Microsoft's limit on a whole name.
constexpr size_t max_pipe_path = 256;

struct pipe_path {
    wchar_t text[max_pipe_path + 1];
};

// From UTF-8: 0, or a Win32 code as event2/iocp_pipe.h has them.
int pipe_path_from(const char *name, pipe_path *path);

} // namespace iocp

#endif
