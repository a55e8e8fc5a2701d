// A name server by evdns that dnsmasq asks in regress/real/names.
//
// usage: name_server Prints "names <port>": asked over UDP there and, with a libevent that has it, over TCP. Answers
// for host-<i>.names.test as dnsmasq does from its hosts file, and that there is no such name for all others; ends with
// quit.names.test and "result: <answers> answers, <blocks> blocks left".
#include "accounting.h"

#include "compat/versions.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>
#include <stdlib.h>

#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <event2/listener.h>

namespace {

constexpr int seconds_to_live = 60;
constexpr char host[] = "host-";

event_base *base;
int answers;

void add_address(evdns_server_request *request, const evdns_server_question *question, int number)
{
    const unsigned char parts[] = {10, static_cast<unsigned char>(number >> 16),
                                   static_cast<unsigned char>(number >> 8), static_cast<unsigned char>(number)};
    unsigned char six[16] = {0xfd};
    for (int i = 0; i < 4; ++i)
        six[9 + 2 * i] = parts[i];
    if (question->type == EVDNS_TYPE_A)
        evdns_server_request_add_a_reply(request, question->name, 1, parts, 60);
    else if (question->type == EVDNS_TYPE_AAAA)
        evdns_server_request_add_aaaa_reply(request, question->name, 1, six, 60);
}

void on_request(evdns_server_request *request, void *)
{
    int code = DNS_ERR_NONE;
    for (int i = 0; i < request->nquestions; ++i) {
        const evdns_server_question *question = request->questions[i];
        // Whoever asks may mix the case of letters, to be harder to deceive.
        if (evutil_ascii_strncasecmp(question->name, host, sizeof(host) - 1) == 0)
            add_address(request, question, atoi(question->name + sizeof(host) - 1));
        else
            code = DNS_ERR_NOTEXIST;
        if (evutil_ascii_strcasecmp(question->name, "quit.names.test") == 0)
            event_base_loopexit(base, nullptr);
    }
    ++answers;
    evdns_server_request_respond(request, code);
}

SOCKET bound_socket(sockaddr_in *address)
{
    SOCKET made = socket(AF_INET, SOCK_DGRAM, 0);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length = sizeof(*address);
    auto *any = reinterpret_cast<sockaddr *>(address);
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(made));
    return bind(made, any, length) == 0 && getsockname(made, any, &length) == 0 ? made : INVALID_SOCKET;
}

// A second port for TCP, with the number of the first; null where evdns has no such thing.
evdns_server_port *add_tcp_port(sockaddr_in *address)
{
    if (!LIBEVENT_HAS_DNS_OVER_TCP)
        return nullptr;
    // evdns sets the callback, and frees the listener.
    evconnlistener *listener = evconnlistener_new_bind(base, nullptr, nullptr, LEV_OPT_CLOSE_ON_FREE, -1,
                                                       reinterpret_cast<sockaddr *>(address), sizeof(*address));
    return listener ? evdns_add_server_port_with_listener(base, listener, 0, on_request, nullptr) : nullptr;
}

} // namespace

int main()
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    WSADATA data;
    sockaddr_in address = {};
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 2;
    accounting::start();
    base = event_base_new();
    SOCKET fd = bound_socket(&address);
    auto *port = evdns_add_server_port_with_base(base, static_cast<evutil_socket_t>(fd), 0, on_request, nullptr);
    evdns_server_port *tcp_port = add_tcp_port(&address);
    if (fd == INVALID_SOCKET || port == nullptr || (LIBEVENT_HAS_DNS_OVER_TCP && tcp_port == nullptr))
        return 2;
    printf("names %d\n", ntohs(address.sin_port));
    timeval life = {seconds_to_live, 0};
    event_base_loopexit(base, &life);
    event_base_dispatch(base);
    evdns_close_server_port(port);
    if (tcp_port != nullptr)
        evdns_close_server_port(tcp_port);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    libevent_global_shutdown();
    printf("result: %d answers, %u blocks left\n", answers, static_cast<unsigned>(accounting::live_blocks()));
    return 0;
}
