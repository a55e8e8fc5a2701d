// An evhttp server for the HTTP rows, with or without TLS.
//
// usage: bench_evhttp [--port] [--locks] [--tls]
//   --port   EVENT_BASE_FLAG_STARTUP_IOCP
//   --locks  evthread_use_windows_threads, as libevent's own port needs it
// Every answer is the same 1,000 bytes. /mark makes a request to Wine's server that stands out in its trace and prints
// how many other answers there have been; /quit ends the loop, and all that there is is freed.
#include "tools/benchmarks/http/certificate.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>

namespace {

constexpr size_t answer_size = 1000;

long served;
long marks;
bool told_to_end;
char answer[answer_size];

[[noreturn]] void fail(const char *what)
{
    printf("failed: %s (error %d)\n", what, WSAGetLastError());
    ExitProcess(1);
}

// It stays where it is: without this it would be copied.
void on_answer_sent(const void *, size_t, void *)
{
}

void on_request(evhttp_request *request, void *)
{
    ++served;
    evbuffer *body = evbuffer_new();
    evbuffer_add_reference(body, answer, sizeof(answer), on_answer_sent, nullptr);
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

void on_mark(evhttp_request *request, void *)
{
    wchar_t name[32];
    swprintf(name, 32, L"bench-mark-%ld", marks++);
    OpenEventW(SYNCHRONIZE, FALSE, name);
    printf("served %ld\n", served);
    evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
}

void on_quit_answered(evhttp_request *, void *base)
{
    told_to_end = true;
    event_base_loopbreak(static_cast<event_base *>(base));
}

void on_quit(evhttp_request *request, void *base)
{
    evhttp_request_set_on_complete_cb(request, on_quit_answered, base);
    evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
}

bufferevent *tls_bufferevent(event_base *base, void *context)
{
    SSL *ssl = SSL_new(static_cast<SSL_CTX *>(context));
    return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

event_base *make_base(bool port)
{
    event_config *config = event_config_new();
    if (port)
        event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == nullptr)
        fail("no base");
    printf("method %s\n", event_base_get_method(base));
    return base;
}

void listen(evhttp *http)
{
    evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    if (bound == nullptr)
        fail("no listener");
    sockaddr_in address;
    int length = sizeof(address);
    auto socket = static_cast<SOCKET>(evhttp_bound_socket_get_fd(bound));
    if (getsockname(socket, reinterpret_cast<sockaddr *>(&address), &length) != 0)
        fail("getsockname");
    printf("listening on %d\n", ntohs(address.sin_port));
}

} // namespace

int main(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    bool port = false, locks = false, tls = false;
    for (int i = 1; i < argc; ++i) {
        port = port || strcmp(argv[i], "--port") == 0;
        locks = locks || strcmp(argv[i], "--locks") == 0;
        tls = tls || strcmp(argv[i], "--tls") == 0;
    }
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    memset(answer, 'a', sizeof(answer));
    if (locks)
        evthread_use_windows_threads();
    event_base *base = make_base(port);
    evhttp *http = evhttp_new(base);
    SSL_CTX *context = nullptr;
    if (tls) {
        context = bench::self_signed_context();
        if (context == nullptr)
            fail("no certificate");
        evhttp_set_bevcb(http, tls_bufferevent, context);
    }
    evhttp_set_cb(http, "/mark", on_mark, nullptr);
    evhttp_set_cb(http, "/quit", on_quit, base);
    evhttp_set_gencb(http, on_request, nullptr);
    listen(http);
    event_base_dispatch(base);
    if (!told_to_end)
        fail("the loop has ended early");
    evhttp_free(http);
    event_base_free(base);
    SSL_CTX_free(context);
    WSACleanup();
    printf("complete\n");
    return 0;
}
