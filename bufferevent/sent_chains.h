// Chains that have been sent and are more than memory: added by reference, from another evbuffer or from a file. To free
// one calls the program's cleanup, or takes the lock of the evbuffer that it is of.
//
// On select the loop does that, without the base's lock: a cleanup may wait for another thread that uses the
// base. A packet is taken with the base's lock held, by whichever thread waits for one. So a send with such chains
// waits, when it has ended, for a callback of libevent's own in the loop's thread. It waits as it is, so that this needs
// no memory. (The callback is internal, as libevent's wake-ups are: no run of the loop ends by it.)
//
// Who frees a base frees what waits then, with no lock either.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_SENT_CHAINS_H
#define LIBEVENT_IOCP_BUFFEREVENT_SENT_CHAINS_H

#include "backend/backend.h"

namespace iocp {

struct send_operation;

// True if all that was sent is plain memory, which can be freed with any lock held.
bool sent_chains_are_memory(const send_operation *ended);
// Of an operation that is settled. True: it has chains for the loop to free, and is the loop's with them. With the
// base's lock held, where anybody else has the base.
bool sent_chains_wait(backend *owner, send_operation *ended);

} // namespace iocp

#endif
