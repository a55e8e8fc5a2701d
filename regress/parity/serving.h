// Random scripts of an evhttp server on the base under test, and clients that are plain sockets: keep-alive, requests
// in one go, Expect: 100-continue, bodies and replies in chunks, too large, answered late, broken off by either side,
// and clients that do not read or do not go on.
//
// On both bases the server sees the same requests, and each client the same replies and end.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SERVING_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SERVING_H

#include "random.h"
#include "world.h"

namespace parity {

constexpr int max_clients = 3;

// What the server does with a request; its name is the request's path.
enum class deed { answers, answers_later, chunks, chunks_and_drops, holds, refuses, count };

// How a request is made.
constexpr int expects_100 = 1;
constexpr int asks_to_close = 2;
constexpr int is_http_1_0 = 4;
constexpr int body_in_chunks = 8;
constexpr int is_cut = 16; // the last half comes with the next request, or never

void make_serving_script(random_source *random, script *made);
std::string describe_serving(const script &of);
trace run_serving(const script &of, base_kind kind);

} // namespace parity

#endif
