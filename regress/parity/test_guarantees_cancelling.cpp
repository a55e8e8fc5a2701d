// An evhttp client whose request ends early while its body is on the way. The next request on the same
// evhttp_connection goes out whole, over a new socket, and is answered.
#include "guarantees.h"

#include <event2/http.h>

#include <string.h>

namespace parity {

namespace {

constexpr size_t first_size = 8 * 1024 * 1024;
constexpr size_t second_size = 40000;

struct client {
    struct event_base *base;
    struct evhttp_connection *http;
    SOCKET listening;
    connection first, second; // as the server sees them
    int told[3];              // how often each request's callback ran
    int code[3];
};

struct asked {
    client *of;
    int number;
};

void on_end(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<asked *>(argument);
    ++self->of->told[self->number];
    self->of->code[self->number] = request != nullptr ? evhttp_request_get_response_code(request) : -1;
}

bool listen_small(client *of, int *port)
{
    struct sockaddr_in address = open_address();
    address.sin_port = 0;
    int length = sizeof(address), small = 16 * 1024;
    of->listening = raw_socket();
    setsockopt(of->listening, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char *>(&small), sizeof(small));
    auto *name = reinterpret_cast<struct sockaddr *>(&address);
    if (bind(of->listening, name, length) != 0 || listen(of->listening, 5) != 0 ||
        getsockname(of->listening, name, &length) != 0)
        return false;
    *port = ntohs(address.sin_port);
    return true;
}

bool open_client(struct event_base *base, client *into)
{
    *into = {};
    into->base = base;
    into->first.far_end = into->second.far_end = INVALID_SOCKET;
    int port = 0;
    REQUIRE(listen_small(into, &port));
    into->http = evhttp_connection_base_new(base, nullptr, "127.0.0.1", static_cast<ev_uint16_t>(port));
    return into->http != nullptr;
}

void close_client(client *of)
{
    if (of->http != nullptr)
        evhttp_connection_free(of->http);
    closesocket(of->listening);
    for (connection *one : {&of->first, &of->second})
        if (one->far_end != INVALID_SOCKET)
            closesocket(one->far_end);
}

struct evhttp_request *post(client *of, asked *number, const char *path, size_t size)
{
    struct evhttp_request *request = evhttp_request_new(on_end, number);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Host", "x");
    std::string body = pattern(number->number, 0, size);
    evbuffer_add(evhttp_request_get_output_buffer(request), body.data(), body.size());
    return evhttp_make_request(of->http, request, EVHTTP_REQ_POST, path) == 0 ? request : nullptr;
}

// Meanwhile the server takes what comes on `reading`, if that is there.
bool server_accepts(client *of, connection *into, connection *reading)
{
    std::string ignored;
    bool accepted = run_until(of->base, [&] {
        if (reading != nullptr && !reading->far_ended)
            peer_receive(reading, &ignored);
        into->far_end = accept(of->listening, nullptr, nullptr);
        return into->far_end != INVALID_SOCKET;
    });
    u_long on = 1;
    return accepted && ioctlsocket(into->far_end, FIONBIO, &on) == 0;
}

bool server_answers(client *of, connection *on, const char *text)
{
    return send(on->far_end, text, static_cast<int>(strlen(text)), 0) == static_cast<int>(strlen(text)) &&
           of->base != nullptr;
}

// The whole request, as it was made and no byte more.
bool server_gets_second(client *of, bool reads_first)
{
    std::string got;
    REQUIRE(server_accepts(of, &of->second, reads_first ? &of->first : nullptr));
    std::string head = "POST /second HTTP/1.1\r\n";
    auto length_of_head = [&] { return got.find("\r\n\r\n") == std::string::npos ? 0 : got.find("\r\n\r\n") + 4; };
    REQUIRE(run_until(of->base, [&] {
        while (peer_receive(&of->second, &got))
            continue;
        return length_of_head() != 0 && got.size() >= length_of_head() + second_size;
    }));
    some_turns(of->base);
    while (peer_receive(&of->second, &got))
        continue;
    REQUIRE(got.compare(0, head.size(), head) == 0);
    REQUIRE(got.substr(length_of_head()) == pattern(2, 0, second_size));
    REQUIRE(server_answers(of, &of->second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    REQUIRE(run_until(of->base, [&] { return of->told[2] != 0; }));
    REQUIRE(of->told[2] == 1 && of->code[2] == 200);
    return true;
}

enum class ends { by_cancel, by_timeout, by_answer, by_reset, by_close };

bool end_first(client *of, struct evhttp_request *first, ends how)
{
    static const char *const refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    struct linger at_once = {1, 0};
    struct timeval soon = {0, 100 * 1000}, later = {50, 0};
    switch (how) {
    case ends::by_cancel:
        evhttp_cancel_request(first);
        return true;
    case ends::by_timeout:
        evhttp_connection_set_timeout_tv(of->http, &soon);
        REQUIRE(run_until(of->base, [&] { return of->told[1] != 0; }));
        evhttp_connection_set_timeout_tv(of->http, &later); // the second has its time, on a busy machine too
        return true;
    case ends::by_answer:
        return server_answers(of, &of->first, refusal);
    case ends::by_reset:
        setsockopt(of->first.far_end, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&at_once), sizeof(at_once));
        break;
    case ends::by_close:
        break;
    }
    closesocket(of->first.far_end);
    of->first.far_end = INVALID_SOCKET;
    return true;
}

// What the server has read of the first request by the time it ends.
enum class server { reads_nothing, reads_some, reads_what_there_is };

bool run_client(struct event_base *base, ends how, server doing)
{
    client one;
    std::string got;
    asked numbers[] = {{&one, 0}, {&one, 1}, {&one, 2}};
    REQUIRE(open_client(base, &one));
    struct evhttp_request *first = post(&one, &numbers[1], "/first", first_size);
    REQUIRE(first != nullptr && server_accepts(&one, &one.first, nullptr));
    struct bufferevent *of_first = evhttp_connection_get_bufferevent(one.http);
    REQUIRE(run_until(base, [&] { return evbuffer_get_length(bufferevent_get_output(of_first)) > 0; }));
    REQUIRE(run_until_full(base, of_first));
    REQUIRE(post(&one, &numbers[2], "/second", second_size) != nullptr);
    if (doing == server::reads_some) {
        REQUIRE(peer_reads(base, &one.first, &got, 100000));
        while (peer_receive(&one.first, &got))
            continue;
    } else if (doing == server::reads_what_there_is) {
        empty_kernel(&one.first, &got);
    }
    REQUIRE(end_first(&one, first, how));
    REQUIRE(server_gets_second(&one, how == ends::by_answer));
    REQUIRE(how == ends::by_cancel ? one.told[1] == 0 : one.told[1] == 1);
    close_client(&one);
    return true;
}

bool run_clients(struct event_base *base, ends how)
{
    for (server doing : {server::reads_nothing, server::reads_some, server::reads_what_there_is}) {
        if (!run_client(base, how, doing)) {
            printf("the server had read: %d\n", static_cast<int>(doing));
            return false;
        }
    }
    return true;
}

bool cancel_request_with_its_body_in_flight(struct event_base *base)
{
    return run_clients(base, ends::by_cancel);
}

bool cancel_by_timeout_with_its_body_in_flight(struct event_base *base)
{
    return run_client(base, ends::by_timeout, server::reads_nothing);
}

bool cancel_by_an_early_answer_with_its_body_in_flight(struct event_base *base)
{
    return run_clients(base, ends::by_answer);
}

bool cancel_by_the_server_with_its_body_in_flight(struct event_base *base)
{
    return run_clients(base, ends::by_reset) && run_clients(base, ends::by_close);
}

} // namespace

const guarantee cancelling_guarantees[] = {
    {"cancel_request_with_its_body_in_flight", cancel_request_with_its_body_in_flight},
    {"cancel_by_timeout_with_its_body_in_flight", cancel_by_timeout_with_its_body_in_flight},
    {"cancel_by_an_early_answer_with_its_body_in_flight", cancel_by_an_early_answer_with_its_body_in_flight},
    {"cancel_by_the_server_with_its_body_in_flight", cancel_by_the_server_with_its_body_in_flight},
    {nullptr, nullptr},
};

} // namespace parity
