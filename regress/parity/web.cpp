#include "web.h"

namespace parity {

namespace {

void on_answer(struct evhttp_request *request, void *argument)
{
    auto *self = static_cast<answer *>(argument);
    self->done = true;
    self->code = request != nullptr ? evhttp_request_get_response_code(request) : -1;
    if (request == nullptr)
        return;
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    self->body.resize(evbuffer_get_length(body));
    evbuffer_remove(body, &self->body[0], self->body.size());
}

} // namespace

bool open_web(struct event_base *base, web *into, void (*on_request)(struct evhttp_request *, void *))
{
    *into = {};
    into->base = base;
    into->client.far_end = INVALID_SOCKET;
    into->server = evhttp_new(base);
    into->bound = evhttp_bind_socket_with_handle(into->server, "127.0.0.1", 0);
    if (into->bound == nullptr)
        return false;
    evhttp_set_gencb(into->server, on_request, into);
    struct sockaddr_in address;
    int length = sizeof(address);
    auto fd = static_cast<SOCKET>(evhttp_bound_socket_get_fd(into->bound));
    if (getsockname(fd, reinterpret_cast<struct sockaddr *>(&address), &length) != 0)
        return false;
    into->port = ntohs(address.sin_port);
    return client_connects(into);
}

void close_web(web *of)
{
    closesocket(of->client.far_end);
    evhttp_free(of->server);
}

bool client_connects(web *of)
{
    if (of->client.far_end != INVALID_SOCKET)
        closesocket(of->client.far_end);
    of->client = {};
    of->client.far_end = raw_socket();
    struct sockaddr_in address = open_address();
    address.sin_port = htons(static_cast<unsigned short>(of->port));
    return connect(of->client.far_end, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0 ||
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

void on_post(struct evhttp_request *request, void *argument)
{
    ++static_cast<web *>(argument)->served;
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "<%u>",
                        static_cast<unsigned>(evbuffer_get_length(evhttp_request_get_input_buffer(request))));
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
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

} // namespace parity
