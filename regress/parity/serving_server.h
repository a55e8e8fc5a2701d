// The evhttp server under test: what it does with each request, at once or later.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SERVING_SERVER_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SERVING_SERVER_H

#include "serving.h"
#include "serving_client.h"

#include <event2/event.h>
#include <event2/http.h>

#include <list>

namespace parity {

struct serving;

// A request that is not answered yet.
struct held_request {
    serving *of;
    struct evhttp_request *request;
    int client;
    int number; // of its connection's requests
    deed what;
    size_t size; // of the reply
    int chunks;
    struct event *timer; // NULL: it waits for the script
};

struct serving {
    struct event_base *base;
    struct evhttp *server;
    struct event *tick;
    any_address address;
    serving_client clients[max_clients];
    struct evhttp_connection *connections[max_clients]; // from the first request to the end
    int served[max_clients];                            // requests of its client's present connection
    int max_body;
    bool deferred;
    std::string seen[max_clients];
    std::list<held_request> held;
    trace out;
};

bool start_server(serving *self);
// With its connections and what is held.
void free_server(serving *self);
void answer_held(held_request *self);
// Frees its connection.
void drop_held(held_request *self);

} // namespace parity

#endif
