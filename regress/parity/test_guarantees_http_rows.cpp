// Reports about evhttp on libevent's IOCP, by their number in libevent's tracker: 255, 709, 794, 1081. Those that
// another test stands for (957, 1174, 1228) are named in run_guarantees.py.
#include "web.h"

#include <stdlib.h>
#include <string.h>

namespace parity {

namespace {

constexpr int requests_709 = 1000;
constexpr int requests_of_a_connection = 20;
constexpr size_t bench_size = 12000; // sent by reference, as bench_http does
constexpr int clients_1081 = 8;
constexpr int requests_1081 = 4000;
constexpr int max_steps = 200000;
constexpr int max_fragment = 64;
constexpr int max_body = 15000; // one write of libevent's, so that no part waits for an acknowledgement
constexpr int rounds_of_two_pieces = 10;
constexpr ULONGLONG patience = 50; // ms

const char get_anything[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

bool row255_http_server_answers(struct event_base *base)
{
    web one;
    REQUIRE(open_web(base, &one, on_post));
    REQUIRE(client_sends(&one, get_anything));
    REQUIRE(client_sees(&one, "<0>", 1));
    REQUIRE(one.got.compare(0, 15, "HTTP/1.1 200 OK") == 0);
    for (int i = 0; i < 50; ++i) { // each on a connection of its own
        REQUIRE(client_connects(&one));
        one.got.clear();
        REQUIRE(client_sends(&one, get_anything));
        REQUIRE(client_sees(&one, "<0>", 1));
    }
    REQUIRE(one.served == 51);
    close_web(&one);
    return true;
}

void on_bench_request(struct evhttp_request *request, void *argument)
{
    static const std::string content = pattern(9, 0, bench_size);
    ++static_cast<web *>(argument)->served;
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_reference(body, content.data(), content.size(), nullptr, nullptr);
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

bool ends_with(const std::string &text, const std::string &end)
{
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool row709_http_server_serves_bench_http(struct event_base *base)
{
    web one;
    REQUIRE(open_web(base, &one, on_bench_request));
    const std::string content = pattern(9, 0, bench_size);
    for (int i = 1; i <= requests_709; ++i) {
        if (i % requests_of_a_connection == 0)
            REQUIRE(client_connects(&one));
        one.got.clear();
        REQUIRE(client_sends(&one, get_anything));
        REQUIRE(run_until(base, [&] {
            while (peer_receive(&one.client, &one.got))
                continue;
            return ends_with(one.got, content);
        }));
        REQUIRE(one.served == i);
    }
    close_web(&one);
    return true;
}

struct held {
    web one;
    struct evhttp_request *request;
    bool read_on;
    int closed;
};

void on_close(struct evhttp_connection *, void *argument)
{
    auto *self = static_cast<held *>(argument);
    ++self->closed;
    self->request = nullptr;
}

// Keeps the request, and leaves nothing alive but its connection.
void on_held_request(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<held *>(argument);
    self->request = request;
    evhttp_request_own(request);
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    evhttp_connection_set_closecb(connection, on_close, self);
    evhttp_del_accept_socket(self->one.server, self->one.bound);
    if (self->read_on)
        bufferevent_enable(evhttp_connection_get_bufferevent(connection), EV_READ);
}

bool hold_request(struct event_base *base, held *into, bool read_on)
{
    *into = {};
    if (!open_web(base, &into->one, on_held_request))
        return false;
    evhttp_set_gencb(into->one.server, on_held_request, into);
    into->read_on = read_on;
    return client_sends(&into->one, get_anything) && run_until(base, [&] { return into->request != nullptr; });
}

// evhttp itself stops reading while the program has the request. A program that enables it again, to learn of clients
// that went away, has a loop that goes on for that connection alone.
bool row794_abort_is_seen_while_a_request_is_held(struct event_base *base)
{
    held one;
    REQUIRE(hold_request(base, &one, true));
    for (int i = 0; i < 10; ++i)
        REQUIRE(event_base_loop(base, EVLOOP_NONBLOCK) == 0);
    struct evhttp_request *request = one.request;
    peer_reset(&one.one.client);
    REQUIRE(event_base_dispatch(base) == 1); // until the connection is gone, and nothing is left
    REQUIRE(one.closed == 1);
    evhttp_request_free(request);
    evhttp_free(one.one.server);
    return true;
}

struct wake_up {
    struct event *event;
    DWORD delay;
};

DWORD WINAPI reply_from_elsewhere(void *argument)
{
    auto *self = static_cast<wake_up *>(argument);
    Sleep(self->delay); // most likely the loop sleeps by then; the test holds either way
    event_active(self->event, EV_READ, 1);
    return 0;
}

void on_wake_up(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<held *>(argument);
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "late");
    evhttp_send_reply(self->request, 200, "OK", body);
    evbuffer_free(body);
    event_base_loopexit(self->one.base, nullptr);
}

// The loop has nothing to wait for but the thread that will bring the answer.
bool row794_reply_from_a_thread_while_nothing_else_lives(struct event_base *base)
{
    held one;
    REQUIRE(hold_request(base, &one, false));
    wake_up late = {event_new(base, -1, 0, on_wake_up, &one), 20};
    HANDLE thread = CreateThread(nullptr, 0, reply_from_elsewhere, &late, 0, nullptr);
    REQUIRE(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY) == 0);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    REQUIRE(client_sees(&one.one, "late", 1));
    event_free(late.event);
    close_web(&one.one);
    return true;
}

void reply_sized(evutil_socket_t, short, void *argument)
{
    auto *request = static_cast<struct evhttp_request *>(argument);
    size_t size = strtoul(evhttp_request_get_uri(request) + 1, nullptr, 10);
    std::string content = pattern(static_cast<int>(size), 0, size);
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, content.data(), content.size());
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

// At once or a turn later.
void on_sized_request(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<web *>(argument);
    struct timeval at_once = {0, 0};
    if (self->served++ % 2 == 0)
        reply_sized(-1, EV_TIMEOUT, request);
    else
        event_base_once(self->base, -1, EV_TIMEOUT, reply_sized, request, &at_once);
}

struct keep_alive {
    connection on;
    std::string request, got, content;
    size_t sent;
};

void ask_for_more(keep_alive *client)
{
    auto size = static_cast<size_t>(rand() % max_body);
    client->request = "GET /" + std::to_string(size) +
                      " HTTP/1.1\r\nHost: a\r\nX-Filler: " + std::string(size % 300, 'x') + "\r\n\r\n";
    client->content = pattern(static_cast<int>(size), 0, size);
    client->got.clear();
    client->sent = 0;
}

// Sends a piece and takes what has come. The next request begins the moment the answer is whole, and often goes out as
// one: by the time it arrives the server may not have been told that its write has ended.
bool keep_asking(keep_alive *client)
{
    size_t left = client->request.size() - client->sent;
    size_t piece = rand() % 2 == 0 ? left : static_cast<size_t>(rand() % max_fragment + 1);
    int bytes = left > 0 ? send(client->on.far_end, client->request.data() + client->sent,
                                static_cast<int>(piece < left ? piece : left), 0)
                         : 0;
    client->sent += bytes > 0 ? static_cast<size_t>(bytes) : 0;
    while (peer_receive(&client->on, &client->got))
        continue;
    size_t head = client->got.find("\r\n\r\n");
    return head != std::string::npos && client->got.size() >= head + 4 + client->content.size();
}

bool answered_rightly(const keep_alive *client)
{
    return client->got.compare(0, 15, "HTTP/1.1 200 OK") == 0 &&
           client->got.substr(client->got.find("\r\n\r\n") + 4) == client->content;
}

struct load {
    web one;
    keep_alive clients[clients_1081];
    struct event *step;
    int steps, answered;
    bool wrong;
};

// The clients act within a pass of the loop, between the server's callbacks, and let other threads act there too: that
// is when libevent's IOCP hands on bytes that evhttp does not wait for.
void step_clients(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<load *>(argument);
    for (keep_alive &client : self->clients) {
        if (!keep_asking(&client))
            continue;
        self->wrong = self->wrong || !answered_rightly(&client);
        ++self->answered;
        ask_for_more(&client);
    }
    SwitchToThread();
    struct timeval at_once = {0, 0};
    if (self->answered >= requests_1081 || self->wrong || ++self->steps == max_steps)
        event_base_loopbreak(self->one.base);
    else
        event_add(self->step, &at_once);
}

bool row1081_http_keep_alive_load(struct event_base *base)
{
    load all = {};
    REQUIRE(open_web(base, &all.one, on_sized_request));
    evhttp_set_gencb(all.one.server, on_sized_request, &all.one);
    for (keep_alive &client : all.clients) {
        REQUIRE(client_connects(&all.one));
        client.on = all.one.client;
        all.one.client.far_end = INVALID_SOCKET; // taken over
        ask_for_more(&client);
    }
    all.step = evtimer_new(base, step_clients, &all);
    step_clients(-1, EV_TIMEOUT, &all);
    REQUIRE(event_base_dispatch(base) == 0);
    REQUIRE(!all.wrong && all.answered >= requests_1081 && all.one.served >= all.answered);
    for (keep_alive &client : all.clients) // the others would have gone on without one that hangs
        REQUIRE(run_until(base, [&] { return keep_asking(&client); }) && answered_rightly(&client));
    event_free(all.step);
    for (keep_alive &client : all.clients)
        closesocket(client.on.far_end);
    evhttp_free(all.one.server);
    return true;
}

// One client that sends each request in two pieces, each at a moment of its server's that libevent's IOCP gets wrong.
struct two_pieces {
    web one;
    struct evhttp_connection *connection;
    struct evhttp_request *held;
    struct event *second;
    bool asked; // the first piece of the next request is out
    bool wrong;
};

// Lets the threads of libevent's IOCP act within a callback. Without such threads it waits in vain.
template <class Condition> bool yield_until(Condition condition)
{
    ULONGLONG end = GetTickCount64() + patience;
    while (!condition() && GetTickCount64() < end)
        SwitchToThread();
    return condition();
}

size_t waiting_input(two_pieces *self)
{
    return evbuffer_get_length(bufferevent_get_input(evhttp_connection_get_bufferevent(self->connection)));
}

void send_piece(two_pieces *self, const char *piece)
{
    auto length = static_cast<int>(strlen(piece));
    size_t before = waiting_input(self);
    self->wrong = self->wrong || send(self->one.client.far_end, piece, length, 0) != length;
    yield_until([&] { return waiting_input(self) > before; });
}

// A client that waits for its answer, and then asks for more before the server is told that its write has ended.
void ask_once_answered(two_pieces *self)
{
    bool answered = yield_until([&] {
        while (peer_receive(&self->one.client, &self->one.got))
            continue;
        return self->one.got.find("<answer>") != std::string::npos;
    });
    if (!answered || self->asked || self->one.served == rounds_of_two_pieces)
        return;
    self->asked = true;
    self->one.got.clear();
    send_piece(self, "GET / HTTP/1.1\r\n");
}

void on_answer_sent(struct evhttp_request *, void *argument)
{
    auto *self = static_cast<two_pieces *>(argument);
    ask_once_answered(self); // it is by now, where the write had only been queued before
    if (self->asked)
        event_active(self->second, EV_READ, 1);
}

void send_second_piece(evutil_socket_t, short, void *argument)
{
    send_piece(static_cast<two_pieces *>(argument), "Host: a\r\n\r\n");
}

void answer_a_turn_later(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<two_pieces *>(argument);
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "<answer>");
    self->asked = false;
    evhttp_send_reply(self->held, 200, "OK", body);
    evbuffer_free(body);
    ask_once_answered(self);
}

void on_request_in_pieces(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<two_pieces *>(argument);
    struct timeval at_once = {0, 0};
    ++self->one.served;
    self->held = request;
    self->connection = evhttp_request_get_connection(request);
    evhttp_request_set_on_complete_cb(request, on_answer_sent, self);
    event_base_once(self->one.base, -1, EV_TIMEOUT, answer_a_turn_later, self, &at_once);
}

// As reported: what one callback has read, another one reads again, while the program has the request.
bool row1081_request_in_two_pieces_while_a_reply_ends(struct event_base *base)
{
    two_pieces all = {};
    REQUIRE(open_web(base, &all.one, on_request_in_pieces));
    evhttp_set_gencb(all.one.server, on_request_in_pieces, &all);
    all.second = event_new(base, -1, 0, send_second_piece, &all);
    REQUIRE(client_sends(&all.one, get_anything));
    REQUIRE(run_until(base, [&] { return all.wrong || all.one.served == rounds_of_two_pieces; }));
    REQUIRE(!all.wrong);
    REQUIRE(client_sees(&all.one, "<answer>", 1)); // the last
    event_free(all.second);
    close_web(&all.one);
    return true;
}

} // namespace

const guarantee http_row_guarantees[] = {
    {"row255_http_server_answers", row255_http_server_answers},
    {"row709_http_server_serves_bench_http", row709_http_server_serves_bench_http},
    {"row794_abort_is_seen_while_a_request_is_held", row794_abort_is_seen_while_a_request_is_held},
    {"row794_reply_from_a_thread_while_nothing_else_lives", row794_reply_from_a_thread_while_nothing_else_lives},
    {"row1081_http_keep_alive_load", row1081_http_keep_alive_load},
    {"row1081_request_in_two_pieces_while_a_reply_ends", row1081_request_in_two_pieces_while_a_reply_ends},
    {nullptr, nullptr},
};

} // namespace parity
