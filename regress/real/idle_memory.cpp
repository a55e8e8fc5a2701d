// What an idle bufferevent costs: connects to itself over loopback, both ends bufferevents that wait for data.
//
// usage: idle_memory [--port] [--count] <connections> [folder]
//   --port   EVENT_BASE_FLAG_STARTUP_IOCP with locking, as libevent's own IOCP needs it
//   --count  counts the bytes that libevent asks for, which itself costs 16 bytes a block
// Prints "empty", makes the connections, and prints "idle"; then "result" with private bytes and libevent's own live bytes
// for each bufferevent. With a folder it goes on after "empty" and "idle" when there is a file of that name in it: the
// process is measured from outside until then.
#include "accounting.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <vector>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>

namespace {

// Connects in progress at a time.
constexpr int connecting_limit = 32;
constexpr int look_ms = 50, most_looks = 120 * 1000 / look_ms;

event_base *base;
std::string folder;
sockaddr_in address;
int wanted;
int started;
int connected;
int accepted;
std::vector<bufferevent *> all;

void on_data(bufferevent *, void *)
{
}

void fail(const char *what)
{
    printf("failed: %s, error %d, %d connected, %d accepted\n", what, WSAGetLastError(), connected, accepted);
    exit(1);
}

void connect_some();

void one_more(int *count)
{
    *count += 1;
    if (connected == wanted && accepted == wanted)
        event_base_loopbreak(base);
    connect_some();
}

void on_event(bufferevent *, short what, void *)
{
    if (what != BEV_EVENT_CONNECTED)
        fail("a connection");
    one_more(&connected);
}

void connect_some()
{
    while (started < wanted && started - connected < connecting_limit && started - accepted < connecting_limit) {
        bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
        if (!bev)
            fail("bufferevent_socket_new");
        bufferevent_setcb(bev, on_data, nullptr, on_event, nullptr);
        started += 1;
        all.push_back(bev);
        if (bufferevent_socket_connect(bev, reinterpret_cast<sockaddr *>(&address), sizeof(address)))
            fail("bufferevent_socket_connect");
        bufferevent_enable(bev, EV_READ);
    }
}

void on_accept(evconnlistener *, evutil_socket_t fd, sockaddr *, int, void *)
{
    bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        fail("bufferevent_socket_new of an accepted socket");
    bufferevent_setcb(bev, on_data, nullptr, on_event, nullptr);
    bufferevent_enable(bev, EV_READ);
    all.push_back(bev);
    one_more(&accepted);
}

event_base *make_base(bool port)
{
    event_config *config = event_config_new();
    if (port) {
        evthread_use_windows_threads();
        event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    }
    event_base *made = event_base_new_with_config(config);
    event_config_free(config);
    return made;
}

evconnlistener *listen()
{
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    evconnlistener *made =
        evconnlistener_new_bind(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 1024, generic, sizeof(address));
    int size = sizeof(address);
    if (!made || getsockname(evconnlistener_get_fd(made), generic, &size))
        fail("listen");
    return made;
}

void run_for(int milliseconds)
{
    const timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};
    event_base_loopexit(base, &time);
    event_base_dispatch(base);
}

bool is_measured(const char *mark)
{
    return folder.empty() || GetFileAttributesA((folder + "\\" + mark).c_str()) != INVALID_FILE_ATTRIBUTES;
}

void be_measured(const char *mark)
{
    printf("%s\n", mark);
    for (int looks = 0; !is_measured(mark); ++looks) {
        if (looks == most_looks)
            fail("nobody has measured");
        if (base)
            run_for(look_ms);
        else
            Sleep(look_ms);
    }
}

} // namespace

int main(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    bool port = false;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--port") == 0)
            port = true;
        else if (strcmp(argv[i], "--count") == 0)
            accounting::start();
        else if (wanted == 0)
            wanted = atoi(argv[i]);
        else
            folder = argv[i];
    }
    if (wanted <= 0)
        return 2;
    all.reserve(static_cast<size_t>(wanted) * 2);
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);

    is_measured("nothing"); // what a first look costs
    size_t empty = accounting::private_bytes();
    be_measured("empty");

    base = make_base(port);
    evconnlistener *listener = listen();
    connect_some();
    event_base_dispatch(base);
    be_measured("idle"); // once the last connections have done what is left
    size_t idle = accounting::private_bytes(), live = accounting::live_bytes();
    printf("result: %zu bufferevents on %s: %.0f private bytes, %.0f bytes of libevent's each\n", all.size(),
           event_base_get_method(base), (static_cast<double>(idle) - static_cast<double>(empty)) / all.size(),
           static_cast<double>(live) / all.size());
    for (bufferevent *bev : all)
        bufferevent_free(bev);
    evconnlistener_free(listener);
    event_base_free(base);
    printf("freed: %zu blocks\n", accounting::live_blocks());
    return 0;
}
