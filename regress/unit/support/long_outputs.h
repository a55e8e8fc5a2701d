// Bufferevents on the fake kernel with more to send than goes by one send, for tests of how long those are.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_LONG_OUTPUTS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_LONG_OUTPUTS_H

#include <vector>

#include "support/bases.h"

#include "bufferevent/send_growth.h"

namespace iocp {

constexpr size_t piece = default_send_size;
constexpr size_t long_output = 4 * 1024 * 1024;

struct connection {
    SOCKET socket;
    struct bufferevent *bev; // NULL: freed
    size_t written;
    std::vector<size_t> told_at; // by write callbacks: what was left
    short told;                  // by event callbacks
};

// A test's. What is still there is freed at its end, and has to leave nothing behind.
extern struct event_base *base;
extern std::vector<connection *> all;
int set_up_long_outputs(void **);
int tear_down_long_outputs(void **);

connection *connect_one();
void free_one(connection *one);
// One chain, which is sent in part.
void write_long(connection *one, size_t length = long_output);
size_t left_of(const connection *one);
// That a send in flight has.
size_t in_flight(const connection *one);
// How much the next send takes, or 0 if none is started in some turns.
size_t next_send(const connection *one);
// Its sends are as long as they may become.
void grow(connection *one);

} // namespace iocp

#endif
