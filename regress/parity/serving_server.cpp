#include "serving_server.h"

#include <event2/buffer.h>
#include <event2/iocp.h>
#include <event2/listener.h>

#include <stdio.h>

namespace parity {

namespace {

constexpr int chunks_of_a_reply = 3;
constexpr size_t first_data_room = 1024;

void forget_connection(struct evhttp_connection *connection, void *argument)
{
    auto *self = static_cast<serving *>(argument);
    for (int i = 0; i < max_clients; ++i) {
        if (self->connections[i] == connection) {
            self->connections[i] = nullptr;
            self->seen[i] += " closed";
        }
    }
}

struct evbuffer *content(int client, size_t size)
{
    struct evbuffer *made = evbuffer_new();
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i)
        text[i] = stream_byte(60 + client, i);
    evbuffer_add(made, text.data(), text.size());
    return made;
}

void forget_held(held_request *self)
{
    if (self->timer != nullptr)
        event_free(self->timer);
    self->of->held.remove_if([self](const held_request &each) { return &each == self; });
}

} // namespace

void answer_held(held_request *self)
{
    struct evbuffer *body = content(self->client, self->size);
    struct evhttp_request *request = self->request;
    forget_held(self);
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

void drop_held(held_request *self)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(self->request);
    struct evhttp_request *request = self->request;
    bool ours = self->what == deed::chunks_and_drops || connection == nullptr;
    forget_held(self);
    if (connection != nullptr)
        evhttp_connection_free(connection);
    if (ours)
        evhttp_request_free(request);
}

namespace {

// The next step of a reply in chunks.
void go_on(held_request *self)
{
    struct timeval soon = {0, 1000};
    if (self->chunks == 0)
        evhttp_send_reply_start(self->request, 200, "OK");
    if (self->chunks == chunks_of_a_reply) {
        struct evhttp_request *request = self->request;
        forget_held(self);
        evhttp_send_reply_end(request);
        return;
    }
    if (self->chunks == 2 && self->what == deed::chunks_and_drops) {
        drop_held(self);
        return;
    }
    struct evbuffer *body = content(self->client, 1 + self->size / chunks_of_a_reply);
    evhttp_send_reply_chunk(self->request, body);
    evbuffer_free(body);
    ++self->chunks;
    event_add(self->timer, &soon);
}

void on_timer(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<held_request *>(argument);
    if (self->what == deed::answers_later)
        answer_held(self);
    else
        go_on(self);
}

void hold(serving *self, struct evhttp_request *request, int client, deed what, size_t size)
{
    struct timeval soon = {0, 1000};
    self->held.push_back({self, request, client, self->served[client] - 1, what, size, 0, nullptr});
    held_request *made = &self->held.back();
    if (what == deed::chunks_and_drops) // who drops it frees it, after its connection
        evhttp_request_own(request);
    if (what == deed::holds)
        return;
    made->timer = evtimer_new(self->base, on_timer, made);
    event_add(made->timer, &soon);
}

// The path names the deed, the client and the size of the reply.
void serve_request(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<serving *>(argument);
    int what = 0, client = 0, size = 0;
    if (sscanf(evhttp_request_get_uri(request), "/%d/%d/%d", &what, &client, &size) != 3 || client >= max_clients) {
        self->out.lines.push_back("WRONG: no such request");
        evhttp_send_error(request, 500, nullptr);
        return;
    }
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t length = evbuffer_get_length(body);
    self->seen[client] += " " + std::to_string(what) + "(" + std::to_string(length) + ")";
    std::string text(length, '\0');
    evbuffer_copyout(body, &text[0], length);
    for (size_t i = 0; i < length; ++i) {
        if (text[i] != stream_byte(70 + client, i)) {
            self->out.lines.push_back("WRONG: body");
            break;
        }
    }
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    ++self->served[client];
    self->connections[client] = connection;
    evhttp_connection_set_closecb(connection, forget_connection, self);
    held_request at_once = {self, request, client, 0, deed::answers, static_cast<size_t>(size), 0, nullptr};
    if (static_cast<deed>(what) == deed::answers)
        answer_held(&at_once);
    else if (static_cast<deed>(what) == deed::refuses)
        evhttp_send_error(request, 403, "No");
    else
        hold(self, request, client, static_cast<deed>(what), static_cast<size_t>(size));
}

} // namespace

bool start_server(serving *self)
{
    self->address = open_address_of(false);
    reinterpret_cast<struct sockaddr_in *>(&self->address.storage)->sin_port = 0;
    unsigned flags = LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE;
    struct evconnlistener *listener =
        evconnlistener_new_bind(self->base, nullptr, nullptr, flags, 128, self->address.get(), self->address.length);
    if (listener == nullptr ||
        (self->deferred && evconnlistener_iocp_set_first_data(listener, first_data_room, nullptr) != 0))
        return false;
    self->server = evhttp_new(self->base);
    evhttp_set_gencb(self->server, serve_request, self);
    evhttp_set_max_body_size(self->server, self->max_body);
    return evhttp_bind_listener(self->server, listener) != nullptr &&
           getsockname(static_cast<SOCKET>(evconnlistener_get_fd(listener)), self->address.get(),
                       &self->address.length) == 0;
}

void free_server(serving *self)
{
    std::list<struct evhttp_request *> ours; // the others go with their connections
    while (!self->held.empty()) {
        held_request *each = &self->held.front();
        if (each->what == deed::chunks_and_drops || evhttp_request_get_connection(each->request) == nullptr)
            ours.push_back(each->request);
        forget_held(each);
    }
    evhttp_free(self->server);
    for (struct evhttp_request *each : ours)
        evhttp_request_free(each);
}

} // namespace parity
