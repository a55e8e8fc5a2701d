#include "asking.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include <stdlib.h>

namespace parity {

namespace {

constexpr size_t max_requests = 8;
constexpr int full_after_turns = 100;
constexpr int small_buffer = 16 * 1024;

char body_byte(int number, size_t index)
{
    return stream_byte(80 + number, index);
}

void on_end(struct evhttp_request *made, void *argument)
{
    auto *self = static_cast<request *>(argument);
    if (self->at != request_state::waits)
        self->of->wrong += " told twice, or of a cancelled one;";
    bool answered = made != nullptr && evhttp_request_get_response_code(made) == 200;
    self->at = answered ? request_state::answered : request_state::failed;
    self->made = nullptr;
}

void ask(asking *self, size_t size)
{
    if (self->requests.size() == max_requests)
        return;
    int number = static_cast<int>(self->requests.size());
    self->requests.push_back({self, number, size, nullptr, request_state::waits, false});
    request *made = &self->requests.back();
    made->made = evhttp_request_new(on_end, made);
    evhttp_add_header(evhttp_request_get_output_headers(made->made), "Host", "x");
    std::string body(size, '\0');
    for (size_t i = 0; i < size; ++i)
        body[i] = body_byte(number, i);
    evbuffer_add(evhttp_request_get_output_buffer(made->made), body.data(), body.size());
    std::string path = "/" + std::to_string(number);
    if (evhttp_make_request(self->client, made->made, EVHTTP_REQ_POST, path.c_str()) != 0)
        made->at = request_state::failed;
}

// The first that waits, which is the one on the connection; or the last.
request *waiting(asking *self, bool last)
{
    request *found = nullptr;
    for (request &each : self->requests)
        if (each.at == request_state::waits && (found == nullptr || last))
            found = &each;
    return found;
}

// A request is as it was made, or the stream is wrong for good.
bool parse_one(asking *self, std::string *got)
{
    size_t end = got->find("\r\n\r\n");
    if (end == std::string::npos)
        return false;
    size_t length_at = got->find("Content-Length: ");
    int number = got->compare(0, 6, "POST /") == 0 ? atoi(got->c_str() + 6) : -1;
    request *of = nullptr;
    for (request &each : self->requests)
        if (each.number == number)
            of = &each;
    if (of == nullptr || length_at > end || strtoul(got->c_str() + length_at + 16, nullptr, 10) != of->size) {
        self->wrong += " the server got what is no request;";
        got->clear();
        return false;
    }
    if (got->size() < end + 4 + of->size)
        return false;
    for (size_t i = 0; i < of->size; ++i) {
        if ((*got)[end + 4 + i] != body_byte(number, i)) {
            self->wrong += " wrong body;";
            break;
        }
    }
    got->erase(0, end + 4 + of->size);
    return true;
}

void serve(asking *self, size_t which)
{
    static const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    connection *on = &self->served[which];
    if (on->far_end == INVALID_SOCKET || on->far_ended)
        return;
    for (int i = 0; i < 64 && peer_receive(on, &self->got[which]); ++i)
        continue;
    while (parse_one(self, &self->got[which]))
        if (send(on->far_end, answer.data(), static_cast<int>(answer.size()), 0) < 0)
            break; // its client is gone
}

void accept_all(asking *self)
{
    for (SOCKET made; (made = accept(self->listening, nullptr, nullptr)) != INVALID_SOCKET;) {
        u_long on = 1;
        ioctlsocket(made, FIONBIO, &on);
        connection next = {};
        next.far_end = made;
        self->served.push_back(next);
        self->got.emplace_back();
    }
}

// Until the kernel takes no more of a request whose server reads nothing; it may have had time to take all.
void run_until_full(asking *self, struct event_base *base)
{
    struct evbuffer *output = bufferevent_get_output(evhttp_connection_get_bufferevent(self->client));
    size_t before = 0;
    for (int i = 0; i < full_after_turns; ++i) {
        before = evbuffer_get_length(output);
        event_base_loop(base, EVLOOP_NONBLOCK);
        accept_all(self);
        if (i > 10 && before != 0 && evbuffer_get_length(output) == before)
            break;
    }
}

void close_served(asking *self, bool reset)
{
    if (self->served.empty() || self->served.back().far_end == INVALID_SOCKET)
        return;
    if (reset) {
        peer_reset(&self->served.back());
    } else {
        closesocket(self->served.back().far_end);
        self->served.back().far_end = INVALID_SOCKET;
    }
}

// The loop stands still meanwhile: a send in flight ends, and its packet waits.
void read_without_the_loop(asking *self)
{
    if (self->served.empty() || self->served.back().far_end == INVALID_SOCKET)
        return;
    connection *on = &self->served.back();
    for (int i = 0; i < 100; ++i) {
        while (peer_receive(on, &self->got.back()))
            continue;
        fd_set set;
        FD_ZERO(&set);
        FD_SET(on->far_end, &set);
        struct timeval patience = {0, 2000};
        if (on->far_ended || select(0, &set, nullptr, nullptr, &patience) != 1)
            break;
    }
}

} // namespace

bool asking_start(asking *self, struct event_base *base)
{
    any_address address = open_address_of(false);
    reinterpret_cast<struct sockaddr_in *>(&address.storage)->sin_port = 0;
    self->listening = raw_socket();
    setsockopt(self->listening, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char *>(&small_buffer), sizeof(int));
    if (bind(self->listening, address.get(), address.length) != 0 || listen(self->listening, 16) != 0 ||
        getsockname(self->listening, address.get(), &address.length) != 0)
        return false;
    self->client = evhttp_connection_base_new(base, nullptr, "127.0.0.1", static_cast<ev_uint16_t>(address.port()));
    return self->client != nullptr;
}

void asking_apply(asking *self, struct event_base *base, const operation &what)
{
    if (self->client == nullptr)
        return;
    if (self->stalled && what.kind != op_kind::ask)
        run_until_full(self, base);
    switch (what.kind) {
    case op_kind::ask:
        ask(self, static_cast<size_t>(what.a));
        break;
    case op_kind::ask_cancel: {
        request *found = waiting(self, what.a == 2);
        if (what.a == 1 && self->stalled)
            read_without_the_loop(self);
        if (found != nullptr) {
            found->at = request_state::cancelled;
            evhttp_cancel_request(found->made);
        }
        break;
    }
    case op_kind::ask_stall:
        self->stalled = what.a != 0;
        break;
    default: // of more than one request under way, which it meets would be chance if the server were reading
        if (self->stalled || waiting(self, false) == nullptr)
            close_served(self, what.a != 0);
        self->stalled = false;
        break;
    }
}

bool asking_is_quiet(asking *self)
{
    if (self->client == nullptr || self->stalled)
        return true;
    accept_all(self);
    for (size_t i = 0; i < self->served.size(); ++i)
        serve(self, i);
    return waiting(self, false) == nullptr;
}

std::string asking_log(asking *self)
{
    static const char *const states[] = {"waits", "answered", "failed", "cancelled"};
    std::string log;
    for (request &each : self->requests) {
        if (each.at != request_state::waits && !each.logged) {
            log += " " + std::to_string(each.number) + " " + states[static_cast<int>(each.at)];
            each.logged = true;
        }
    }
    if (!self->wrong.empty())
        log += " WRONG:" + self->wrong;
    return log;
}

void asking_end(asking *self)
{
    if (self->client == nullptr)
        return;
    evhttp_connection_free(self->client);
    self->client = nullptr;
    closesocket(self->listening);
    for (connection &each : self->served)
        if (each.far_end != INVALID_SOCKET)
            closesocket(each.far_end);
}

} // namespace parity
