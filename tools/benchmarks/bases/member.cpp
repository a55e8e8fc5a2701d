#include "tools/benchmarks/bases/member.h"

#include <event2/buffer.h>

#include <string.h>

namespace bench {

namespace {

constexpr size_t answer_size = 1000;
constexpr char answer_byte = 'a';
char answer[answer_size];

void check_reply(evhttp_request *request)
{
    if (request == nullptr || evhttp_request_get_response_code(request) != HTTP_OK)
        fail("a request was not answered", 0);
    evbuffer *body = evhttp_request_get_input_buffer(request);
    if (evbuffer_get_length(body) != answer_size)
        fail("an answer of a wrong length", static_cast<int>(evbuffer_get_length(body)));
    const unsigned char *bytes = evbuffer_pullup(body, -1);
    for (size_t i = 0; i < answer_size; ++i)
        if (bytes[i] != answer_byte)
            fail("a wrong answer", 0);
}

// The answer stays where it is: without this it would be copied.
void on_answer_sent(const void *, size_t, void *)
{
}

unsigned short port_of(SOCKET listening)
{
    sockaddr_in address;
    int length = sizeof(address);
    if (getsockname(listening, reinterpret_cast<sockaddr *>(&address), &length) != 0)
        fail("getsockname", WSAGetLastError());
    return ntohs(address.sin_port);
}

} // namespace

event_base *make_member_base(const scenario &what)
{
    event_config *config = event_config_new();
    if (what.port)
        event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    event_base *made = event_base_new_with_config(config);
    event_config_free(config);
    if (made == nullptr)
        fail("no base", 0);
    return made;
}

member::member(event_base *of, SOCKET listening, int count, const tls_contexts &contexts, phase *shared)
    : base(of), tls(contexts), all(shared), port(port_of(listening)), http(evhttp_new(of)),
      beginning(event_new(of, -1, EV_PERSIST, on_begin, this)),
      clients(static_cast<size_t>(count), client{this, nullptr})
{
    memset(answer, answer_byte, sizeof(answer));
    evhttp_set_bevcb(http, on_accepted, this);
    evhttp_set_gencb(http, on_request, this);
    if (beginning == nullptr || evhttp_accept_socket(http, static_cast<evutil_socket_t>(listening)) != 0)
        fail("a member", WSAGetLastError());
}

// A core for each, as far as there are any: left alone, Linux gathers threads that Wine's server wakes on its own core.
void member::start_thread(int number)
{
    HANDLE thread = CreateThread(nullptr, 0, loop, this, 0, nullptr);
    DWORD_PTR cores = 0, of_system;
    if (thread == nullptr || GetProcessAffinityMask(GetCurrentProcess(), &cores, &of_system) == 0)
        fail("no thread", static_cast<int>(GetLastError()));
    DWORD_PTR rest = cores;
    for (; number > 0; --number) {
        rest &= rest - 1;
        if (rest == 0)
            rest = cores;
    }
    SetThreadAffinityMask(thread, rest & ~(rest - 1));
    CloseHandle(thread);
}

DWORD WINAPI member::loop(void *self)
{
    event_base_loop(static_cast<member *>(self)->base, EVLOOP_NO_EXIT_ON_EMPTY);
    fail("a loop has ended", 0);
}

void member::begin(long units)
{
    wanted = units;
    event_active(beginning, EV_READ, 0);
}

void member::on_begin(evutil_socket_t, short, void *context)
{
    auto *self = static_cast<member *>(context);
    self->left = self->to_ask = self->wanted;
    for (client &each : self->clients)
        self->ask(&each);
}

// In the thread of the base whose listener has it.
bufferevent *member::on_accepted(event_base *base, void *context)
{
    auto *self = static_cast<member *>(context);
    ++self->accepted;
    if (self->tls.server == nullptr)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    return bufferevent_openssl_socket_new(base, -1, SSL_new(self->tls.server), BUFFEREVENT_SSL_ACCEPTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

void member::on_request(evhttp_request *request, void *context)
{
    ++static_cast<member *>(context)->answered;
    evbuffer *body = evbuffer_new();
    evbuffer_add_reference(body, answer, sizeof(answer), on_answer_sent, nullptr);
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

void member::connect(client *one)
{
    bufferevent *over = nullptr; // NULL: evhttp makes a plain one
    if (tls.client != nullptr) {
        over = bufferevent_openssl_socket_new(base, -1, SSL_new(tls.client), BUFFEREVENT_SSL_CONNECTING,
                                              BEV_OPT_CLOSE_ON_FREE);
        bufferevent_openssl_set_allow_dirty_shutdown(over, 1);
    }
    one->connection = evhttp_connection_base_bufferevent_new(base, nullptr, over, "127.0.0.1", port);
    if (one->connection == nullptr)
        fail("no connection", 0);
}

// A connection is kept, but over TLS: there each request has one of its own, and a handshake.
void member::ask(client *one)
{
    if (to_ask == 0)
        return;
    --to_ask;
    if (one->connection == nullptr)
        connect(one);
    evhttp_request *request = evhttp_request_new(on_reply, one);
    evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Host", "localhost");
    if (tls.client != nullptr)
        evhttp_add_header(headers, "Connection", "close");
    if (evhttp_make_request(one->connection, request, EVHTTP_REQ_GET, "/") != 0)
        fail("a request", 0);
}

void member::on_reply(evhttp_request *request, void *context)
{
    auto *one = static_cast<client *>(context);
    member *self = one->owner;
    check_reply(request);
    if (self->tls.client != nullptr) {
        evhttp_connection_free_on_completion(one->connection);
        one->connection = nullptr;
    }
    if (--self->left > 0)
        self->ask(one);
    else if (--self->all->working == 0)
        SetEvent(self->all->done);
}

} // namespace bench
