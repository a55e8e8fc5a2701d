// What a base spends on buffers that wait for data. Kept by receive_operation.cpp and stream_receive.cpp.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_BUDGET_H
#define LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_BUDGET_H

#include "compat/libevent.h"

namespace iocp {

struct receive_operation;
TAILQ_HEAD(receive_list, receive_operation);

// Bytes that one base allots to buffers of receives. Beyond, connections wait without a buffer.
constexpr size_t receive_budget_bytes = 4 * 1024 * 1024;

struct receive_budget {
    size_t spent;
    receive_list waiting; // receives in flight with a buffer that is not small, in the order they were started
};

} // namespace iocp

#endif
