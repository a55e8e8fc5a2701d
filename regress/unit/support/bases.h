// Bases on the fake kernel, as tests make them, and what libevent says meanwhile.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_BASES_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_BASES_H

#include <string>
#include <vector>

#include "support/fake_sys.h"

#include "compat/libevent.h"

namespace iocp {

struct base_options {
    int flags;
    int features;
    const char *avoid;
    const char *avoid_too;
};

constexpr base_options on_iocp = {EVENT_BASE_FLAG_STARTUP_IOCP, 0, nullptr, nullptr};
constexpr base_options as_always = {0, 0, nullptr, nullptr};
// With locks, one on select would want a pair of real sockets.
constexpr base_options on_select_unlocked = {EVENT_BASE_FLAG_NOLOCK, 0, nullptr, nullptr};

struct event_base *make_base(const base_options &options);
bool is_on_port(const struct event_base *base);
// One turn of the loop, which does not wait.
int turn(struct event_base *base);
// Turns until the port has been looked at, or nothing can come to it.
void turn_to_port(struct event_base *base);

// Catches libevent's log from now on; warnings and errors are kept.
void catch_log();
const std::vector<std::string> &warnings();
void forget_warnings();

// A test's set-up: a kernel in which nothing has happened, and libevent's log caught.
int set_up_kernel(void **);
// The end of a test's tear-down, when all is freed: 0, or -1 with a word on what the kernel still has.
int check_nothing_is_left();

// What the calling thread is to libevent: the loop's own until set to another.
void use_fake_threads();
void become_thread(unsigned long id);
constexpr unsigned long loop_thread = 1;
constexpr unsigned long other_thread = 2;

// An event that counts.
struct counted {
    struct event *registered;
    int count;
    short what;
    int64_t last_us;
};
struct counted *count_events(struct event_base *base, evutil_socket_t fd, short flags);
void free_counted(struct counted *counting);

} // namespace iocp

#endif
