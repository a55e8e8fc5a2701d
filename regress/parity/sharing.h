// Random scripts of one listening socket and listeners of several bases, each turned by a thread of its own or all by
// one: listeners are made, enabled, disabled and freed at any time in their own threads, and a base stands still for a
// while.
//
// Which listener gets which connection is chance, and so is when a hook comes about. What must hold, on either kind of
// base: each connection is accepted once, none waits for a base that stands still while another could take it, what no
// listener has taken is left to the socket's owner, and everything is freed.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SHARING_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SHARING_H

#include "random.h"
#include "world.h"

namespace parity {

void make_sharing_script(random_source *random, script *made);
std::string describe_sharing(const script &of);
trace run_sharing(const script &of, base_kind kind);

} // namespace parity

#endif
