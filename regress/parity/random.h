// Where a script's choices come from: the same seed makes the same script everywhere.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_RANDOM_H
#define LIBEVENT_IOCP_REGRESS_PARITY_RANDOM_H

#include "script.h"

namespace parity {

struct random_source {
    uint64_t state;

    uint64_t next()
    {
        // splitmix64
        uint64_t z = state += 0x9E3779B97F4A7C15ull;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return z ^ (z >> 31);
    }
    int below(int limit) { return static_cast<int>(next() % static_cast<uint64_t>(limit)); }
    bool one_in(int n) { return below(n) == 0; }
};

// Mostly small, sometimes around the sizes at which libevent and we change our ways, seldom large.
int size_of_data(random_source *random);

struct weighted {
    op_kind kind;
    int weight;
};

template <int N> op_kind choose(random_source *random, const weighted (&from)[N])
{
    int total = 0;
    for (const weighted &one : from)
        total += one.weight;
    int left = random->below(total);
    for (const weighted &one : from) {
        left -= one.weight;
        if (left < 0)
            return one.kind;
    }
    return op_kind::sync;
}

} // namespace parity

#endif
