// R1, R2, R3 as evhttp sees them.
#include "web.h"

namespace parity {

namespace {

constexpr int pipelined = 100;
constexpr int posts = 300;

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
    close_web(&one);
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
    close_web(&one);
    return true;
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
    close_web(&one);
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
