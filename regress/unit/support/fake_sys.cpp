// What tests steer the fake kernel with, and ask it.
#include "support/fake_kernel.h"

#include <stdarg.h>
#include <stdio.h>

#include "event2/util.h"

#include "support/guard.h"

namespace iocp {
namespace fake {

namespace {

kernel the_kernel;

constexpr uintptr_t first_handle = 0x10000000; // far from socket numbers, and never used twice

const char *count_complaint(const char *what, size_t count)
{
    if (count != 0)
        complain("%u %s left", static_cast<unsigned>(count), what);
    return complaint();
}

} // namespace

kernel &k()
{
    return the_kernel;
}

void boot(uint64_t seed, const chances &odds)
{
    guard::install();
    the_kernel = kernel();
    the_kernel.seed = seed;
    the_kernel.random_state = seed;
    the_kernel.odds = odds;
    the_kernel.held_to = kept_rules;
    the_kernel.next_handle = first_handle;
    start_clock();
    start_winsock();
    start_files();
    start_waits();
    start_events();
    if (!guard::forget_freed())
        complain("freed memory was written to before boot");
    guard::fail_allocations(0, 0);
    // libevent keeps the texts of errors that it has named until it is shut down.
    for (int error : {WSAENOTSOCK, WSAENOBUFS, WSAEINVAL, WSAECONNRESET, WSAEWOULDBLOCK})
        evutil_socket_error_to_string(error);
    the_kernel.blocks_at_boot = guard::live_blocks();
    the_kernel.bytes_at_boot = guard::live_bytes();
}

rules &held_to()
{
    return k().held_to;
}

void complain(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!k().first_complaint.empty())
        return;
    k().first_complaint = text;
    fprintf(stderr, "fake kernel, seed %llu: %s\n", static_cast<unsigned long long>(k().seed), text);
}

const char *complaint()
{
    return k().first_complaint.empty() ? nullptr : k().first_complaint.c_str();
}

const char *complaint_after_base_free()
{
    count_complaint("operations in flight", k().operations.size());
    count_complaint("handles", k().files.size());
    count_complaint("events", k().events.size());
    count_complaint("threads", k().threads.size());
    count_complaint("startups", static_cast<size_t>(k().startups));
    count_complaint("users of the precise clock", static_cast<size_t>(k().precise_users));
    if (!guard::freed_blocks_untouched())
        complain("freed memory was written to");
    return complaint();
}

const char *complaint_after_free()
{
    complaint_after_base_free();
    count_complaint("blocks of memory", guard::live_blocks() - k().blocks_at_boot);
    return count_complaint("bytes of memory", guard::live_bytes() - k().bytes_at_boot);
}

// splitmix64.
uint64_t random()
{
    uint64_t mixed = (k().random_state += 0x9E3779B97F4A7C15ull);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBull;
    return mixed ^ (mixed >> 31);
}

bool happens(unsigned permille)
{
    return permille != 0 && random() % 1000 < permille;
}

void within(call which, std::function<void()> action)
{
    k().within[static_cast<size_t>(which)] = std::move(action);
}

void fail_calls(call which, int error, unsigned times, unsigned after)
{
    k().failures[static_cast<size_t>(which)] = {error, times, after};
}

uint64_t calls(call which)
{
    return k().calls[static_cast<size_t>(which)];
}

int enter(call which)
{
    if (which != call::startup && k().startups == 0)
        complain("call %d before startup, or after cleanup", static_cast<int>(which));
    ++k().calls[static_cast<size_t>(which)];
    std::function<void()> meanwhile;
    meanwhile.swap(k().within[static_cast<size_t>(which)]);
    if (meanwhile)
        meanwhile();
    failure &planned = k().failures[static_cast<size_t>(which)];
    if (planned.times == 0)
        return 0;
    if (planned.after > 0) {
        --planned.after;
        return 0;
    }
    --planned.times;
    return planned.error;
}

uint64_t new_serial()
{
    return ++k().next_serial;
}

HANDLE new_handle()
{
    k().next_handle += 4;
    return reinterpret_cast<HANDLE>(k().next_handle);
}

size_t handles_open()
{
    return k().files.size();
}

size_t operations_in_flight()
{
    return k().operations.size();
}

size_t polls_waiting(SOCKET socket)
{
    const socket_object *found = find_socket(socket);
    size_t count = 0;
    if (found != nullptr)
        for (OVERLAPPED *each : found->waiting)
            count += k().operations.at(each).what == work::poll;
    return count;
}

size_t packets_queued()
{
    return k().packets.size();
}

int startups()
{
    return k().startups;
}

int precise_clock_users()
{
    return k().precise_users;
}

const std::vector<int64_t> &waits()
{
    return k().waits;
}

const std::vector<ULONG> &batch_sizes()
{
    return k().batch_sizes;
}

void at(int64_t time_us, std::function<void()> action)
{
    k().schedule.push_back({time_us, std::move(action)});
}

} // namespace fake

namespace sys {

int startup()
{
    int error = fake::enter(fake::call::startup);
    if (error == 0)
        ++fake::k().startups;
    return error;
}

void cleanup()
{
    if (fake::k().startups == 0)
        fake::complain("cleanup without startup");
    else
        --fake::k().startups;
}

void let_others_run(unsigned looks)
{
    bool sleeps = looks >= looks_before_sleep;
    fake::enter(sleeps ? fake::call::thread_sleep : fake::call::thread_yield);
    if (sleeps)
        fake::advance_us(1000);
    fake::run_due_actions();
}

void precise_clock(bool on)
{
    fake::k().precise_users += on ? 1 : -1;
    if (fake::k().precise_users < 0)
        fake::complain("the precise clock was let go more often than asked for");
}

} // namespace sys
} // namespace iocp
