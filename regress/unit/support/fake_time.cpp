// In place of libevent's evutil_time.c: the fake kernel's clock is the time, and sleeping moves it.
#include <limits.h>
#include <stdio.h>

#include "support/fake_kernel.h"

#include "compat/libevent.h"

namespace iocp {
namespace fake {

void start_clock()
{
    k().now = 1000000; // not zero, which would hide a time that nobody set
    k().grain = 1;
}

int64_t now_us()
{
    return k().now;
}

void advance_us(int64_t by)
{
    k().now += by;
}

uint64_t clock_reads()
{
    return k().clock_reads;
}

void set_clock_grain_us(int64_t grain)
{
    k().grain = grain;
}

void set_look_cost_us(int64_t cost)
{
    k().look_cost = cost;
}

} // namespace fake

int64_t sys::now_ns()
{
    ++fake::k().clock_reads;
    return fake::now_us() * 1000;
}

} // namespace iocp

using iocp::fake::now_us;

extern "C" {

long evutil_tv_to_msec_(const struct timeval *tv)
{
    constexpr long max_seconds = LONG_MAX / 1000 - 1;
    if (tv->tv_usec > 1000000 || tv->tv_sec > max_seconds)
        return -1;
    return tv->tv_sec * 1000 + (tv->tv_usec + 999) / 1000;
}

void evutil_usleep_(const struct timeval *tv)
{
    if (tv != nullptr)
        iocp::fake::advance_us(static_cast<int64_t>(tv->tv_sec) * 1000000 + tv->tv_usec);
}

int evutil_date_rfc1123(char *date, const size_t length, const struct tm *)
{
    return evutil_snprintf(date, length, "Thu, 01 Jan 1970 00:00:00 GMT");
}

int evutil_gettime_monotonic_(struct evutil_monotonic_timer *, struct timeval *tv)
{
    tv->tv_sec = static_cast<long>(now_us() / 1000000);
    tv->tv_usec = static_cast<long>(now_us() % 1000000);
    return 0;
}

int evutil_gettime_monotonic(struct evutil_monotonic_timer *timer, struct timeval *tv)
{
    return evutil_gettime_monotonic_(timer, tv);
}

int evutil_configure_monotonic_time_(struct evutil_monotonic_timer *timer, int)
{
    memset(timer, 0, sizeof(*timer));
    return 0;
}

int evutil_configure_monotonic_time(struct evutil_monotonic_timer *timer, int flags)
{
    return evutil_configure_monotonic_time_(timer, flags);
}

struct evutil_monotonic_timer *evutil_monotonic_timer_new(void)
{
    return static_cast<struct evutil_monotonic_timer *>(mm_calloc(1, sizeof(struct evutil_monotonic_timer)));
}

void evutil_monotonic_timer_free(struct evutil_monotonic_timer *timer)
{
    mm_free(timer);
}
}
