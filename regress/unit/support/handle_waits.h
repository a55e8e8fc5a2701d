// Waits for handles on the fake kernel, by either of Windows's mechanisms.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_HANDLE_WAITS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_HANDLE_WAITS_H

#include "support/check.h"

#include "support/bases.h"

#include "event2/iocp.h"

namespace iocp {
namespace waits {

extern struct event_base *base;
// A test's state, before its set-up: whether there are wait completion packets.
extern bool by_packets, by_threads;

int set_up(void **state);
// Complains of what is left.
int tear_down(void **state);
void free_base();

struct told {
    int count;
    short what;
    int signals, timeouts;
    void *handle;
    struct evwait *wait;
    void (*and_then)(told *);
};
void on_wait(void *handle, short what, void *to);
// Not yet added.
struct evwait *wait_for(HANDLE handle, short events, told *to);
void added(HANDLE handle, short events, told *to);
// Frees the wait, and closes the program's handle.
void end(HANDLE handle, told *to);
void turns(int count);

} // namespace waits
} // namespace iocp

// A test, by both mechanisms.
#define WAIT_TEST(name)                                                                                                \
    cmocka_unit_test_prestate_setup_teardown(name, iocp::waits::set_up, iocp::waits::tear_down,                        \
                                             &iocp::waits::by_packets),                                                \
        cmocka_unit_test_prestate_setup_teardown(name, iocp::waits::set_up, iocp::waits::tear_down,                    \
                                                 &iocp::waits::by_threads)

#endif
