// What a script does to a bufferevent's output and descriptor behind its back, sends in flight or not.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SURGERY_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SURGERY_H

#include "world_state.h"

namespace parity {

// The operations `output` and `reuse_number`, and `free_subject` and `set_descriptor` while the peer does not read.
bool sends_surely(const subject *on);
void change_output(world *w, subject *on, output_change how, size_t bytes);
void reuse_number(world *w, subject *on, comeback how);
void free_amid_a_send(world *w, subject *on);
void move_amid_a_send(world *w, subject *on, connection *to);

} // namespace parity

#endif
