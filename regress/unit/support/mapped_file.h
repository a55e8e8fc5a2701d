// A real file at the end of an output, by evbuffer_add_file: libevent makes a view of it. (A view is no memory that the fake
// kernel takes: what is sent of it as it is, is complained of.)
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_MAPPED_FILE_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_MAPPED_FILE_H

#include <string>

struct evbuffer;

namespace iocp {

void add_mapped_file(struct evbuffer *to, const std::string &bytes);

} // namespace iocp

#endif
