#include "guarantees.h"

#include <event2/iocp.h>

namespace parity {

bool ask_for_first_data(struct evconnlistener *listener)
{
    constexpr size_t room = 1024;
    struct timeval patience = {0, 300 * 1000};
    return evconnlistener_iocp_set_first_data(listener, room, &patience) == 0;
}

} // namespace parity
