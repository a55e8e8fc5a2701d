// event2/iocp_directory.h, seen from the base.
#ifndef LIBEVENT_IOCP_BACKEND_HANDLES_DIRECTORY_WATCH_H
#define LIBEVENT_IOCP_BACKEND_HANDLES_DIRECTORY_WATCH_H

namespace iocp {

struct backend;

// The base is being freed, and nothing is in flight that will come back: its watches have none from now on. The
// lock is held.
void directories_base_ends(backend *owner);

} // namespace iocp

#endif
