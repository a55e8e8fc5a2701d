// Connections whose ends are those of a named pipe. The near one is overlapped, for bufferevent_iocp_handle_new.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_PEER_PIPE_H
#define LIBEVENT_IOCP_REGRESS_PARITY_PEER_PIPE_H

#include "peer.h"

#include <string>

namespace parity {

extern const carrier by_pipe;

// A connection's `form`: a choice for each, as bits.
constexpr unsigned near_is_server = 1;
constexpr unsigned of_messages = 2;
constexpr unsigned read_by_messages = 4; // one of messages is, at its near end
constexpr unsigned empty_messages = 8;   // come ahead of the others
constexpr unsigned room_shift = 4;       // two bits: how much the near end may write ahead of its peer's reading
constexpr unsigned form_bits = 6;

std::string describe_form(unsigned form);

} // namespace parity

#endif
