#include "guarantees.h"

namespace parity {

const guarantee *const own_guarantees[] = {nullptr};

bool ask_for_first_data(struct evconnlistener *)
{
    return true;
}

bool limit_lingering(struct event_base *)
{
    return true;
}

} // namespace parity
