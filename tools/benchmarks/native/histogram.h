// How often each latency was seen, in buckets whose width is a known part of their values.
#ifndef LIBEVENT_IOCP_NATIVE_HISTOGRAM_H
#define LIBEVENT_IOCP_NATIVE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include <vector>

namespace native {

// Log-linear: every power of two is divided into as many buckets, so that a percentile of microseconds and one of
// seconds are as exact, and any number of values takes the same memory.
class histogram {
public:
    static constexpr unsigned divisions = 128; // of a power of two: a bucket is less than 1 % of its values wide

    histogram();
    void add(uint64_t value);
    uint64_t count() const { return total; }
    uint64_t most() const { return largest; }
    // The value that this part of all (0.99, say) does not exceed: its bucket's end, so never too little.
    uint64_t percentile(double part) const;

    static size_t bucket_of(uint64_t value);
    static uint64_t end_of(size_t bucket); // the largest value in it

private:
    std::vector<uint64_t> counts;
    uint64_t total = 0;
    uint64_t largest = 0;
};

} // namespace native

#endif
