// Random scripts of bufferevents without a socket of their own: pairs, filters over a socket's bufferevent or over one
// end of a pair, which pass bytes on, change them or hold them back.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_LAYERS_H
#define LIBEVENT_IOCP_REGRESS_PARITY_LAYERS_H

#include "random.h"
#include "world.h"

namespace parity {

enum class stack { pair, filter_over_socket, filter_over_pair, count };

enum class filter_way { passes, changes, holds_back, count };

void make_layers_script(random_source *random, script *made);
std::string describe_layers(const script &of);
trace run_layers(const script &of, base_kind kind);

} // namespace parity

#endif
