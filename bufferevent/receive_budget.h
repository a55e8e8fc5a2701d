// What a base spends on buffers that wait for data. Kept by receive_buffer.cpp and stream_receive.cpp.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_BUDGET_H
#define LIBEVENT_IOCP_BUFFEREVENT_RECEIVE_BUDGET_H

#include "backend/received_bytes.h"

namespace iocp {

TAILQ_HEAD(receive_list, received_bytes);

// Bytes that one base allots to buffers of receives. Beyond, connections wait without a buffer.
constexpr size_t receive_budget_bytes = 4 * 1024 * 1024;
// Of it, what those may have that have received once: many never do again. The rest is for those whose first answer is to
// come, and for those that have gone on.
constexpr size_t receive_budget_of_quiet = receive_budget_bytes / 4 * 3;

// To call a buffer back takes two calls, the cancel and the receive that is started instead. Who has paid as many, the
// last one after no more than a share of the time that the coldest has waited, may ask for that.
constexpr unsigned char paid_for_call_back = 2;
constexpr unsigned busier_than_coldest = 4;

struct receive_budget {
    size_t spent;
    receive_list waiting; // receives in flight with a buffer that is not small, in the order they were started
};

} // namespace iocp

#endif
