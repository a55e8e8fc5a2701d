// The operations that a port's packets may be for, by the address of their OVERLAPPED.
//
// A packet is looked up here before its memory is touched: whoever makes an overlapped call of his own on a socket that
// is on the port (the program on a descriptor that it has taken back, another process on a duplicate) posts to it as
// well.
#ifndef LIBEVENT_IOCP_BACKEND_PORT_IN_FLIGHT_H
#define LIBEVENT_IOCP_BACKEND_PORT_IN_FLIGHT_H

#include "backend/completion.h"

namespace iocp {

constexpr size_t first_in_flight_buckets = 64;

struct in_flight_table {
    completion *first_buckets[first_in_flight_buckets]; // so that nothing can fail at first
    completion **grown;                                 // in their place, if not NULL
    size_t bucket_count;
    size_t count;
};

void in_flight_init(in_flight_table *self);
// Nothing is in flight any more.
void in_flight_destroy(in_flight_table *self);
// Cannot fail: without memory for more buckets their chains get longer.
void in_flight_add(in_flight_table *self, completion *operation);
void in_flight_remove(in_flight_table *self, completion *operation);
// NULL: it is nobody's whom we know. `overlapped` may point anywhere.
completion *in_flight_find(const in_flight_table *self, const OVERLAPPED *overlapped);
void in_flight_cancel_all(in_flight_table *self);

} // namespace iocp

#endif
