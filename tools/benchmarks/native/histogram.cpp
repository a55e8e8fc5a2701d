#include "tools/benchmarks/native/histogram.h"

#include <math.h>

#include <algorithm>

namespace native {

namespace {

constexpr unsigned division_bits = 7;
static_assert(histogram::divisions == 1u << division_bits, "");

} // namespace

histogram::histogram() : counts(bucket_of(UINT64_MAX) + 1)
{
}

size_t histogram::bucket_of(uint64_t value)
{
    if (value < divisions)
        return static_cast<size_t>(value);
    unsigned power = 63 - static_cast<unsigned>(__builtin_clzll(value));
    unsigned shift = power - division_bits;
    return size_t{shift} * divisions + static_cast<size_t>(value >> shift);
}

uint64_t histogram::end_of(size_t bucket)
{
    if (bucket < divisions)
        return bucket;
    auto shift = static_cast<unsigned>(bucket / divisions - 1);
    uint64_t head = bucket - size_t{shift} * divisions;
    return (head << shift) + ((uint64_t{1} << shift) - 1);
}

void histogram::add(uint64_t value)
{
    ++counts[bucket_of(value)];
    ++total;
    largest = std::max(largest, value);
}

uint64_t histogram::percentile(double part) const
{
    auto wanted = static_cast<uint64_t>(ceil(part * static_cast<double>(total)));
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
        seen += counts[bucket];
        if (seen >= wanted && seen > 0)
            return std::min(end_of(bucket), largest);
    }
    return largest;
}

} // namespace native
