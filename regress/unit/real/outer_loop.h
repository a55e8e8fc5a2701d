// An outer loop on the real kernel, and a base inside it.
//
// None relies on a time-out but where a timer is due: whatever else comes has to end its wait by the handle.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_OUTER_LOOP_H
#define LIBEVENT_IOCP_REGRESS_REAL_OUTER_LOOP_H

#include "real/real_base.h"

#include "event2/iocp.h"

namespace real {

constexpr DWORD patience_ms = deadline_seconds * 1000;

extern HANDLE handle;
extern DWORD wait_ms; // of the last call
extern int time_outs;

int set_up_outer(void **);
int set_up_outer_by_event(void **); // `handle` is one for any wait
// Up to `patience_ms`, whatever the base says: a longer wait has failed.
DWORD wait_limit();
void note_time_out();
// One round of an outer loop that waits for one thing.
void sleep_once();
void run_once();

// Two bufferevents of the base, between which bytes go to and fro.
struct echo {
    evutil_socket_t pair[2];
    struct bufferevent *server, *client;
    int rounds;
};

void on_server(struct bufferevent *bev, void *);
void open_echo(echo *one);
void close_echo(echo *one);

// A test program's main, with and without a wait for the port.
int run_both_ways(int (*run_group)());

} // namespace real

#endif
