// What has come of a stream's receive, by its packet or in its call.
//
// Threads: with the base's lock held, all of it.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_OUTCOME_H
#define LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_OUTCOME_H

#include "bufferevent/stream.h"

namespace iocp {

// The state that it leaves the stream in. Of one that has failed, the stream has the error.
receive_state receive_outcome(stream *self, int error, DWORD bytes);
// A file that ends its receives at once with nothing, as a serial port can be told to, would be asked over and over; so
// would a driver that aborts them. (An empty message is gone once it is received.)
bool receive_was_in_vain(const stream *self, int error);
// Of one that has failed in its call. A shortage; or a provider says what it says of one in flight that was called back,
// which it was not.
bool receive_may_start_later(const stream *self, int error);
// Nobody has called back what never started. A serial port with fAbortOnError aborts each call until its program clears
// the error (ClearCommError), of which it must hear.
void receive_settle_refused(stream *self, int error);

} // namespace iocp

#endif
