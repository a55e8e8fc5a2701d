// The directories that a base watches. Kept by directory_watch.cpp.
//
// Threads: with the base's lock held.
#ifndef LIBEVENT_IOCP_BACKEND_HANDLES_BASE_DIRECTORIES_H
#define LIBEVENT_IOCP_BACKEND_HANDLES_BASE_DIRECTORIES_H

#include "compat/libevent.h"

struct evdirwatch;

namespace iocp {

TAILQ_HEAD(base_directories, evdirwatch);

} // namespace iocp

#endif
