// What a script does to a bufferevent's input, a receive in flight or not.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_INPUT_SURGERY_H
#define LIBEVENT_IOCP_REGRESS_PARITY_INPUT_SURGERY_H

#include "world_state.h"

namespace parity {

// The operation `input`.
void change_input(world *w, subject *on, input_change how, size_t bytes);

} // namespace parity

#endif
