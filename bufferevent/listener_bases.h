// A listener that hands on: its parts on other bases, each a listener of libevent's there, on the same socket and with
// the same callback. Whose turn it is: backend/listening_round.h.
//
// Ownership: a part belongs to its listener, until that is freed, or the part's base.
//
// Threads: what is asked of one listener is not asked by two threads at a time.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_LISTENER_BASES_H
#define LIBEVENT_IOCP_BUFFEREVENT_LISTENER_BASES_H

#include "bufferevent/listener.h"

namespace iocp {

// Before the listener itself is freed. No callback of a part runs after this, but for the one that calls it.
void listener_bases_free(listener_record *whole);

} // namespace iocp

#endif
