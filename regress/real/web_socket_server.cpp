// An echo over WebSockets (libevent 2.2) for regress/real/web_sockets.
//
// usage: web_socket_server
// Prints "web sockets <port>, up to <bytes>", 0 for no limit of its own: January 2023's libevent writes no length that
// takes more than two bytes. What comes in a message goes back in one of the same kind, but text that is "close" closes
// the session. A request for /quit ends it with "result: <sessions> sessions, <closed> closed, <blocks> blocks left".
#include "accounting.h"

#include "compat/versions.h"

#include <winsock2.h>

#include <stdio.h>
#include <string.h>
#include <string>

#include <event2/event.h>
#include <event2/http.h>
// January 2023's has no extern "C" of its own, nor the types that it uses.
extern "C" {
#include <stdint.h>
#include <event2/ws.h>
}

namespace {

constexpr int seconds_to_live = 250;

event_base *base;
int sessions, closed;

void on_message(evws_connection *session, int type, const unsigned char *data, size_t size, void *)
{
    std::string text(reinterpret_cast<const char *>(data), size);
    if (type == WS_TEXT_FRAME && text == "close")
        evws_close(session, WS_CR_NORMAL);
    else if (type == WS_TEXT_FRAME)
        evws_send_text(session, text.c_str());
    else
        evws_send_binary(session, text.data(), text.size());
}

void on_close(evws_connection *, void *)
{
    ++closed;
}

void on_request(evhttp_request *request, void *)
{
    if (std::string(evhttp_request_get_uri(request)) == "/quit") {
        evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
        event_base_loopexit(base, nullptr);
        return;
    }
    evws_connection *session = evws_new_session(request, on_message, nullptr, 0);
    if (session == nullptr)
        return; // it has been answered
    ++sessions;
    evws_connection_set_closecb(session, on_close, nullptr);
}

// The port it listens on, or 0.
int listen_somewhere(evhttp *http)
{
    sockaddr_in address = {};
    int length = sizeof(address);
    evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    if (bound == nullptr || getsockname(static_cast<SOCKET>(evhttp_bound_socket_get_fd(bound)),
                                        reinterpret_cast<sockaddr *>(&address), &length) != 0)
        return 0;
    return ntohs(address.sin_port);
}

} // namespace

int main()
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 2;
    accounting::start();
    base = event_base_new();
    evhttp *http = evhttp_new(base);
    evhttp_set_gencb(http, on_request, nullptr);
    int port = listen_somewhere(http);
    if (port == 0)
        return 2;
    printf("web sockets %d, up to %d\n", port, LIBEVENT_HAS_WEBSOCKET_KINDS ? 0 : 65535);
    timeval life = {seconds_to_live, 0};
    event_base_loopexit(base, &life);
    event_base_dispatch(base);
    evhttp_free(http);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    libevent_global_shutdown();
    printf("result: %d sessions, %d closed, %u blocks left\n", sessions, closed,
           static_cast<unsigned>(accounting::live_blocks()));
    return 0;
}
