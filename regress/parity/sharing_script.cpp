#include "sharer.h"
#include "sharing.h"

#include <stdio.h>

namespace parity {

namespace {

const weighted choices[] = {
    {op_kind::share_listen, 5}, {op_kind::share_enable, 5},      {op_kind::share_free, 3},
    {op_kind::share_hook, 3},   {op_kind::share_stand_still, 3}, {op_kind::share_resume, 2},
    {op_kind::share_leave, 1},  {op_kind::share_connect, 10},
};

void arguments(random_source *random, operation *made)
{
    made->a = random->below(listeners_each);
    switch (made->kind) {
    case op_kind::share_listen:
        made->a = random->one_in(4);
        break;
    case op_kind::share_enable:
        made->b = random->below(2);
        break;
    case op_kind::share_hook:
        made->b = 1 + random->below(4);
        break;
    case op_kind::share_connect:
        made->a = 1 + random->below(random->one_in(4) ? 12 : 3);
        break;
    default:
        break;
    }
}

// What its accepts have taken by then is the next one's.
const std::vector<operation> owner_stalls = {
    {op_kind::share_connect, 0, 1, 0, 0}, // and its accepts are in flight
    {op_kind::sync, 0, 0, 0, 0},          {op_kind::share_stand_still, 0, 0, 0, 0},
    {op_kind::share_connect, 0, 2, 0, 0}, {op_kind::share_listen, 1, 0, 0, 0},
    {op_kind::sync, 0, 0, 0, 0},
};

} // namespace

void make_sharing_script(random_source *random, script *made)
{
    made->about = flavour::sharing;
    made->bases = 2 + random->below(max_sharers - 1);
    made->threads = !random->one_in(3);
    made->locks = random->one_in(2);
    made->owned = random->one_in(2);
    made->listens_ipv6 = random->one_in(4);
    if (made->owned && random->one_in(2))
        made->operations = owner_stalls;
    int length = 6 + random->below(16);
    for (int i = 0; i < length; ++i) {
        operation next = {};
        next.subject = random->below(made->bases);
        next.kind = i == 0 || (i == 1 && random->one_in(2)) ? op_kind::share_listen : choose(random, choices);
        arguments(random, &next);
        made->operations.push_back(next);
        if (random->one_in(2))
            made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
    }
    made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
}

std::string describe_sharing(const script &of)
{
    char line[120];
    snprintf(line, sizeof(line), "  %d bases %s locks on one socket%s%s, turned by %s\n", of.bases,
             of.locks ? "with" : "without", of.listens_ipv6 ? " of IPv6" : "", of.owned ? ", which the first owns" : "",
             of.threads ? "a thread each" : "one thread");
    return line;
}

} // namespace parity
