// A real file, parts of which stand in an output.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_FILE_H
#define LIBEVENT_IOCP_REGRESS_PARITY_FILE_H

#include "subject.h"

namespace parity {

// At the end of the output, by evbuffer_add_file, or twice by one evbuffer_file_segment.
void add_file(subject *on, struct evbuffer *output, bool by_segment, size_t bytes);

} // namespace parity

#endif
