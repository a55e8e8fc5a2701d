#include "guarantees.h"

namespace parity {

bool ask_for_first_data(struct evconnlistener *)
{
    return true;
}

} // namespace parity
