// An evhttp server on the base under test, and one client of it that is a plain socket.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_WEB_H
#define LIBEVENT_IOCP_REGRESS_PARITY_WEB_H

#include "guarantees.h"

#include <event2/http.h>

namespace parity {

struct web {
    struct event_base *base;
    struct evhttp *server;
    struct evhttp_bound_socket *bound;
    int port;
    int served;
    connection client;
    std::string got;
};

bool open_web(struct event_base *base, web *into, void (*on_request)(struct evhttp_request *, void *));
void close_web(web *of);
// Closes the client's socket and connects another one.
bool client_connects(web *of);
bool client_sends(web *of, const std::string &text);
bool client_sees(web *of, const char *text, int times);
// Answers with the length of the request's body in angle brackets.
void on_post(struct evhttp_request *request, void *argument);

struct answer {
    bool done;
    int code;
    std::string body;
};

// One request by libevent's own client, on a connection of its own.
bool ask(struct event_base *base, int port, answer *into);

} // namespace parity

#endif
