// R1, R2, R3 as evhttp sees them.
#include "guarantees.h"

#include <event2/http.h>

#include <string.h>

namespace parity {

namespace {

constexpr int pipelined = 100;
constexpr int posts = 300;

struct web {
    struct event_base *base;
    struct evhttp *server;
    int port;
    int served;
    connection client;
    std::string got;
};

void reply_later(evutil_socket_t, short, void *argument)
{
    auto *request = static_cast<struct evhttp_request *>(argument);
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "<%s>", evhttp_request_get_uri(request));
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

void on_slow_request(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<web *>(argument);
    ++self->served;
    struct timeval later = {0, 2000};
    event_base_once(self->base, -1, EV_TIMEOUT, reply_later, request, &later);
}

void on_post(struct evhttp_request *request, void *argument)
{
    ++static_cast<web *>(argument)->served;
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "<%u>",
                        static_cast<unsigned>(evbuffer_get_length(evhttp_request_get_input_buffer(request))));
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

bool open_web(struct event_base *base, web *into, void (*on_request)(struct evhttp_request *, void *))
{
    *into = {};
    into->base = base;
    into->server = evhttp_new(base);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(into->server, "127.0.0.1", 0);
    if (bound == nullptr)
        return false;
    evhttp_set_gencb(into->server, on_request, into);
    struct sockaddr_in address;
    int length = sizeof(address);
    auto fd = static_cast<SOCKET>(evhttp_bound_socket_get_fd(bound));
    if (getsockname(fd, reinterpret_cast<struct sockaddr *>(&address), &length) != 0)
        return false;
    into->port = ntohs(address.sin_port);
    into->client.far_end = raw_socket();
    return connect(into->client.far_end, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0 ||
           WSAGetLastError() == WSAEWOULDBLOCK;
}

bool client_sends(web *of, const std::string &text)
{
    size_t sent = 0;
    return run_until(of->base, [&] {
        int bytes = send(of->client.far_end, text.data() + sent, static_cast<int>(text.size() - sent), 0);
        sent += bytes > 0 ? static_cast<size_t>(bytes) : 0;
        return sent == text.size();
    });
}

bool client_sees(web *of, const char *text, int times)
{
    return run_until(of->base, [&] {
        peer_receive(&of->client, &of->got);
        int found = 0;
        for (size_t at = of->got.find(text); at != std::string::npos; at = of->got.find(text, at + 1))
            ++found;
        return found >= times;
    });
}

bool r1_http_pipelined_requests_with_slow_replies(struct event_base *base)
{
    web one;
    REQUIRE(open_web(base, &one, on_slow_request));
    std::string all;
    for (int i = 0; i < pipelined; ++i)
        all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t at = 0; at < all.size(); at += 97) {
        REQUIRE(client_sends(&one, all.substr(at, 97)));
        turn(base);
    }
    REQUIRE(client_sees(&one, ("</" + std::to_string(pipelined - 1) + ">").c_str(), 1));
    size_t last = 0;
    for (int i = 0; i < pipelined; ++i) {
        size_t at = one.got.find("</" + std::to_string(i) + ">");
        REQUIRE(at != std::string::npos && at >= last);
        last = at;
    }
    REQUIRE(one.served == pipelined);
    closesocket(one.client.far_end);
    evhttp_free(one.server);
    return true;
}

bool r2_http_expect_continue_keeps_every_reply(struct event_base *base)
{
    web one;
    REQUIRE(open_web(base, &one, on_post));
    std::string body(3000, 'b');
    for (int i = 1; i <= posts; ++i) {
        one.got.clear();
        REQUIRE(
            client_sends(&one, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3000\r\n\r\n"));
        REQUIRE(client_sees(&one, "100 Continue", 1));
        REQUIRE(client_sends(&one, body));
        REQUIRE(client_sees(&one, "<3000>", 1));
        REQUIRE(one.served == i);
    }
    closesocket(one.client.far_end);
    evhttp_free(one.server);
    return true;
}

struct answer {
    bool done;
    int code;
};

void on_answer(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<answer *>(argument);
    self->done = true;
    self->code = request != nullptr ? evhttp_request_get_response_code(request) : -1;
}

bool ask(struct event_base *base, int port, answer *into)
{
    *into = {};
    struct evhttp_connection *client =
        evhttp_connection_base_new(base, nullptr, "127.0.0.1", static_cast<ev_uint16_t>(port));
    struct evhttp_request *request = evhttp_request_new(on_answer, into);
    if (evhttp_make_request(client, request, EVHTTP_REQ_GET, "/x") != 0)
        return false;
    bool told = run_until(base, [&] { return into->done; });
    evhttp_connection_free(client);
    return told;
}

bool r3_http_client_is_answered(struct event_base *base)
{
    web one;
    answer got;
    REQUIRE(open_web(base, &one, on_slow_request));
    for (int i = 0; i < 10; ++i) {
        REQUIRE(ask(base, one.port, &got));
        REQUIRE(got.code == 200);
    }
    closesocket(one.client.far_end);
    evhttp_free(one.server);
    return true;
}

bool r3_http_client_is_told_of_a_closed_port(struct event_base *base)
{
    answer got;
    REQUIRE(ask(base, ntohs(closed_address().sin_port), &got));
    REQUIRE(got.code <= 0);
    return true;
}

} // namespace

const guarantee http_guarantees[] = {
    {"r1_http_pipelined_requests_with_slow_replies", r1_http_pipelined_requests_with_slow_replies},
    {"r2_http_expect_continue_keeps_every_reply", r2_http_expect_continue_keeps_every_reply},
    {"r3_http_client_is_answered", r3_http_client_is_answered},
    {"r3_http_client_is_told_of_a_closed_port", r3_http_client_is_told_of_a_closed_port},
    {nullptr, nullptr},
};

} // namespace parity
