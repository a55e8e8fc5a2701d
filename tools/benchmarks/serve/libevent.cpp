// On libevent: a bufferevent each, as a program of a user's would have it.
#include "tools/benchmarks/serve/serve.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>

#include <set>

namespace bench {

namespace {

class echo_server {
public:
    explicit echo_server(const serving &);
    ~echo_server();
    void run() const { event_base_dispatch(base); }

private:
    static void on_echo_accept(evconnlistener *, evutil_socket_t, sockaddr *, int, void *);
    static void on_control_accept(evconnlistener *, evutil_socket_t, sockaddr *, int, void *);
    static void on_echo_read(bufferevent *, void *);
    static void on_control_read(bufferevent *, void *);
    static void on_end(bufferevent *, short, void *);

    evconnlistener *listen(const char *kind, evconnlistener_cb on_accept);
    void take(evutil_socket_t, bufferevent_data_cb on_read);

    event_base *base;
    evconnlistener *echo;
    evconnlistener *control_port;
    std::set<bufferevent *> all;
};

event_base *make_base(const serving &wanted)
{
    if (wanted.locks && evthread_use_windows_threads() != 0)
        fail("evthread_use_windows_threads", 0);
    event_config *config = event_config_new();
    if (wanted.port)
        event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == nullptr)
        fail("no base", 0);
    return base;
}

echo_server::echo_server(const serving &wanted) : base(make_base(wanted))
{
    print_method(event_base_get_method(base));
    control_port = listen("control", on_control_accept);
    echo = listen("echo", on_echo_accept);
}

echo_server::~echo_server()
{
    evconnlistener_free(echo);
    evconnlistener_free(control_port);
    for (bufferevent *each : all)
        bufferevent_free(each);
    event_base_free(base);
}

evconnlistener *echo_server::listen(const char *kind, evconnlistener_cb on_accept)
{
    sockaddr_in address = any_port();
    evconnlistener *made = evconnlistener_new_bind(base, on_accept, this, LEV_OPT_CLOSE_ON_FREE, -1,
                                                   reinterpret_cast<sockaddr *>(&address), sizeof(address));
    if (made == nullptr)
        fail("no listener", WSAGetLastError());
    print_port(kind, static_cast<SOCKET>(evconnlistener_get_fd(made)));
    return made;
}

void echo_server::take(evutil_socket_t socket, bufferevent_data_cb on_read)
{
    bufferevent *made = bufferevent_socket_new(base, socket, BEV_OPT_CLOSE_ON_FREE);
    if (made == nullptr)
        fail("bufferevent_socket_new", WSAGetLastError());
    all.insert(made);
    bufferevent_setcb(made, on_read, nullptr, on_end, this);
    if (bufferevent_enable(made, EV_READ | EV_WRITE) != 0)
        fail("bufferevent_enable", WSAGetLastError());
}

void echo_server::on_echo_accept(evconnlistener *, evutil_socket_t socket, sockaddr *, int, void *context)
{
    static_cast<echo_server *>(context)->take(socket, on_echo_read);
}

void echo_server::on_control_accept(evconnlistener *, evutil_socket_t socket, sockaddr *, int, void *context)
{
    static_cast<echo_server *>(context)->take(socket, on_control_read);
}

void echo_server::on_echo_read(bufferevent *from, void *)
{
    evbuffer *input = bufferevent_get_input(from);
    count_echo(evbuffer_get_length(input));
    evbuffer_add_buffer(bufferevent_get_output(from), input);
}

void echo_server::on_control_read(bufferevent *from, void *context)
{
    char command;
    while (evbuffer_remove(bufferevent_get_input(from), &command, 1) == 1) {
        if (obey(command) == control::answer)
            bufferevent_write(from, &command, 1);
        else
            event_base_loopbreak(static_cast<echo_server *>(context)->base);
    }
}

void echo_server::on_end(bufferevent *ended, short, void *context)
{
    static_cast<echo_server *>(context)->all.erase(ended);
    bufferevent_free(ended);
}

} // namespace

void serve(const serving &wanted)
{
    echo_server(wanted).run();
}

} // namespace bench
