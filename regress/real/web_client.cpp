// A client on evhttp, plain or over TLS, that says what became of each request and ends cleanly.
//
// usage: web_client [option...] <host> <port> <path>...
//   --tls FILE       over TLS, trusting the certificates in FILE
//   --connections N  so many connections, each of which asks for every path in turn (default 1)
//   --repeat N       asks for all of them so many times (default 1)
//   --queue          hands evhttp all requests of a connection at once
//   --stream         takes bodies as they come instead of whole
//   --timeout S      gives up on a connection that is silent for so long (default 30)
// Prints "answer <connection> <path> <status> <bytes> <crc32> <header X-Connection>" or "failed <connection> <path>
// <evhttp's error> <bytes> <body so far>" for each request; at the end "clean" or "leak" as traffic_server does.
#include "accounting.h"
#include "tls.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vector>
#include <zlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

namespace {

// evhttp's own names for its errors begin at 0; this one stands for a request that never got a connection.
constexpr int no_connection = -1;

struct options {
    const char *trusted;
    int connections = 1;
    int repeat = 1;
    int timeout = 30;
    bool queue = false;
    bool stream = false;
    const char *host = nullptr;
    int port = 0;
    std::vector<const char *> paths;
};

struct visitor {
    int number;
    evhttp_connection *connection;
    size_t asked;
};

struct question {
    visitor *who;
    const char *path;
    int error;
    unsigned long long size;
    uLong sum;
};

options wanted;
event_base *base;
size_t unanswered;

void ask(visitor *who);

// Takes what there is of a body.
void take(question *self, evbuffer *body)
{
    while (evbuffer_get_length(body)) {
        evbuffer_iovec piece;
        evbuffer_peek(body, 1, nullptr, &piece, 1);
        self->sum = crc32(self->sum, static_cast<Bytef *>(piece.iov_base), static_cast<uInt>(piece.iov_len));
        self->size += piece.iov_len;
        evbuffer_drain(body, piece.iov_len);
    }
}

void on_part(evhttp_request *request, void *argument)
{
    take(static_cast<question *>(argument), evhttp_request_get_input_buffer(request));
}

void on_error(evhttp_request_error error, void *argument)
{
    static_cast<question *>(argument)->error = error;
}

// The request is null if it failed on a connection, and without a status if it never had one.
void on_answer(evhttp_request *request, void *argument)
{
    auto *self = static_cast<question *>(argument);
    visitor *who = self->who;
    int status = request ? evhttp_request_get_response_code(request) : 0;
    if (status) {
        take(self, evhttp_request_get_input_buffer(request));
        const char *serial = evhttp_find_header(evhttp_request_get_input_headers(request), "X-Connection");
        printf("answer %d %s %d %llu %08lx %s\n", who->number, self->path, status, self->size, self->sum,
               serial ? serial : "-");
    } else {
        printf("failed %d %s %d %llu\n", who->number, self->path, self->error, self->size);
    }
    delete self;
    unanswered -= 1;
    if (unanswered == 0)
        event_base_loopbreak(base);
    else if (!wanted.queue)
        ask(who);
}

void ask(visitor *who)
{
    if (who->asked == wanted.paths.size() * wanted.repeat)
        return;
    const char *path = wanted.paths[who->asked++ % wanted.paths.size()];
    auto *self = new question{who, path, no_connection, 0, crc32(0, nullptr, 0)};
    evhttp_request *request = evhttp_request_new(on_answer, self);
    evhttp_request_set_error_cb(request, on_error);
    if (wanted.stream)
        evhttp_request_set_chunked_cb(request, on_part);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Host", wanted.host);
    if (evhttp_make_request(who->connection, request, EVHTTP_REQ_GET, path))
        printf("failed %d %s: no request\n", who->number, path);
}

void on_connected(bufferevent *, short, void *)
{
    event_base_loopbreak(base);
}

// What Windows opens once for connecting and then keeps is open afterwards, whether or not this succeeds.
void connect_once()
{
    bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, nullptr, nullptr, on_connected, nullptr);
    bufferevent_socket_connect_hostname(bev, nullptr, AF_INET, wanted.host, wanted.port);
    event_base_dispatch(base);
    bufferevent_free(bev);
}

// Returns the handles that were open while the client ran.
unsigned long run(ssl_ctx_st *context, bool visit)
{
    base = event_base_new();
    std::vector<visitor> visitors(wanted.connections);
    unanswered = wanted.paths.size() * wanted.repeat * visitors.size();
    for (size_t i = 0; i < visitors.size(); ++i) {
        bufferevent *bev = context ? tls::connecting(base, context, wanted.host) : nullptr;
        auto port = static_cast<ev_uint16_t>(wanted.port);
        evhttp_connection *connection = evhttp_connection_base_bufferevent_new(base, nullptr, bev, wanted.host, port);
        evhttp_connection_set_timeout(connection, wanted.timeout);
        visitors[i] = {static_cast<int>(i), connection, 0};
    }
    for (visitor &who : visitors) {
        if (!visit)
            break;
        do
            ask(&who);
        while (wanted.queue && who.asked < wanted.paths.size() * wanted.repeat);
    }
    unsigned long handles = accounting::open_handles();
    if (visit)
        event_base_dispatch(base);
    else
        connect_once();
    for (visitor &who : visitors)
        evhttp_connection_free(who.connection);
    event_base_free(base);
    return handles;
}

bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; ++i) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        int *number = strcmp(name, "--connections") == 0 ? &wanted.connections
                      : strcmp(name, "--repeat") == 0    ? &wanted.repeat
                      : strcmp(name, "--timeout") == 0   ? &wanted.timeout
                                                         : nullptr;
        if (number) {
            *number = atoi(value);
            ++i;
        } else if (strcmp(name, "--tls") == 0) {
            wanted.trusted = value;
            ++i;
        } else if (strcmp(name, "--queue") == 0) {
            wanted.queue = true;
        } else if (strcmp(name, "--stream") == 0) {
            wanted.stream = true;
        } else if (!wanted.host) {
            wanted.host = name;
        } else if (!wanted.port) {
            wanted.port = atoi(name);
        } else {
            wanted.paths.push_back(name);
        }
    }
    return wanted.host && wanted.port > 0 && !wanted.paths.empty();
}

} // namespace

int main(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    accounting::start();
    tls::start();
    if (!parse(argc, argv))
        return 2;
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    ssl_ctx_st *context = nullptr;
    if (wanted.trusted && !(context = tls::client_context(wanted.trusted)))
        return 2;
    run(context, false);
    unsigned long handles = accounting::open_handles();
    unsigned long handles_in_use = run(context, true);
    tls::free_context(context);
    tls::finish();
    libevent_global_shutdown();
    WSACleanup();
    return accounting::report(handles, handles_in_use, 0);
}
