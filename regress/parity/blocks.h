// libevent's blocks of memory: counted, and denied.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_BLOCKS_H
#define LIBEVENT_IOCP_REGRESS_PARITY_BLOCKS_H

namespace parity {

// From now on. Before anything else of libevent.
void count_blocks();
// Of all threads.
long live_blocks();
// Of the allocations that are made while the loop turns, from now on, the `first`th and so many more; 0 of them: none.
void deny_blocks(int first, int count);
// How many were denied since the program began.
long denied_blocks();
void loop_turns(bool turns);

} // namespace parity

#endif
