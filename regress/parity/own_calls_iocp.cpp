#include "own_parts.h"

namespace parity {

const guarantee *const own_guarantees[] = {
    handle_guarantees,    pipe_guarantees,      wait_guarantees, process_guarantees,
    directory_guarantees, embedding_guarantees, nullptr,
};

bool ask_for_first_data(struct evconnlistener *listener)
{
    constexpr size_t room = 1024;
    struct timeval patience = {0, 300 * 1000};
    return evconnlistener_iocp_set_first_data(listener, room, &patience) == 0;
}

bool limit_lingering(struct event_base *base)
{
    constexpr size_t enough = 16 << 20;
    struct timeval limit = {0, 100 * 1000};
    return event_base_get_method(base) != std::string("iocp") ||
           event_base_iocp_set_lingering(base, &limit, enough) == 0;
}

} // namespace parity
