// What a script wants done in a callback.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_HOOKS_H
#define LIBEVENT_IOCP_REGRESS_PARITY_HOOKS_H

#include "subject.h"

namespace parity {

// Carries out the hooks that wait for this moment, each once.
void reach(subject *self, moment when);

} // namespace parity

#endif
