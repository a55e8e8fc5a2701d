#include "world.h"

#include "support/guard.h"

namespace world {

struct event_base *base;
struct evconnlistener *listener;
std::vector<served *> all_served;
way next_way;

namespace {

void on_data(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<served *>(argument);
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length = evbuffer_get_length(input);
    self->got.append(reinterpret_cast<char *>(evbuffer_pullup(input, -1)), length);
    evbuffer_drain(input, length);
}

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *self = static_cast<served *>(argument);
    if ((what & BEV_EVENT_EOF) != 0)
        ++self->ends;
    if ((what & BEV_EVENT_ERROR) != 0)
        ++self->errors;
}

void on_connection(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *address, int, void *)
{
    assert_int_equal(address->sa_family, AF_INET);
    assert_int_equal(reinterpret_cast<struct sockaddr_in *>(address)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    if (next_way == way::closes) {
        evutil_closesocket(fd);
        all_served.push_back(new served{-1, nullptr, "", 0, 0, false});
        return;
    }
    char byte;
    bool nothing = recv(fd, &byte, 1, MSG_PEEK) < 0 && WSAGetLastError() == WSAEWOULDBLOCK;
    auto *self = new served{fd, nullptr, "", 0, 0, nothing};
    all_served.push_back(self);
    if (next_way == way::makes || next_way == way::sets)
        read_from(self, BEV_OPT_CLOSE_ON_FREE);
    if (next_way == way::unowned)
        read_from(self, 0);
}

} // namespace

struct bufferevent *read_from(served *from, int options)
{
    bool sets = next_way == way::sets;
    from->bev = bufferevent_socket_new(base, sets ? -1 : from->fd, options);
    if (sets)
        bufferevent_setfd(from->bev, from->fd);
    bufferevent_setcb(from->bev, on_data, nullptr, on_event, from);
    bufferevent_enable(from->bev, EV_READ | EV_WRITE);
    return from->bev;
}

struct event_base *new_base(bool on_port)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, on_port ? EVENT_BASE_FLAG_STARTUP_IOCP : EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *made = event_base_new_with_config(config);
    event_config_free(config);
    return made;
}

struct evconnlistener *listen_on(struct event_base *on)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return evconnlistener_new_bind(on, on_connection, nullptr, LEV_OPT_CLOSE_ON_FREE, 1024,
                                   reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
}

int set_up(void **)
{
    next_way = way::makes;
    base = new_base(true);
    listener = listen_on(base);
    return listener != nullptr ? 0 : -1;
}

void forget_served()
{
    for (served *each : all_served) {
        bool closes = each->bev != nullptr && (BEV_UPCAST(each->bev)->options & BEV_OPT_CLOSE_ON_FREE) != 0;
        if (each->bev != nullptr)
            bufferevent_free(each->bev);
        if (!closes && each->fd != -1)
            evutil_closesocket(each->fd);
        delete each;
    }
    all_served.clear();
}

int tear_down(void **)
{
    forget_served();
    if (listener != nullptr)
        evconnlistener_free(listener);
    if (base != nullptr)
        event_base_free(base);
    listener = nullptr;
    base = nullptr;
    return iocp::guard::freed_blocks_untouched() ? 0 : -1;
}

void start()
{
    iocp::guard::install();
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    event_set_log_callback([](int, const char *) {});
    evthread_use_windows_threads();
}

bool run_until(const std::function<bool()> &reached)
{
    bool late = false;
    struct event *deadline = evtimer_new(
        base, [](evutil_socket_t, short, void *flag) { *static_cast<bool *>(flag) = true; }, &late);
    struct timeval limit = {deadline_seconds, 0};
    event_add(deadline, &limit);
    while (!late && !reached())
        event_base_loop(base, EVLOOP_ONCE);
    event_free(deadline);
    return !late;
}

bool run_for(long milliseconds)
{
    bool over = false;
    struct event *timer = evtimer_new(
        base, [](evutil_socket_t, short, void *flag) { *static_cast<bool *>(flag) = true; }, &over);
    struct timeval span = {milliseconds / 1000, milliseconds % 1000 * 1000};
    event_add(timer, &span);
    bool well = run_until([&over] { return over; });
    event_free(timer);
    return well;
}

double seconds_now()
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return static_cast<double>(count.QuadPart) / static_cast<double>(frequency.QuadPart);
}

void set(size_t bytes, long patience_ms)
{
    struct timeval patience = {patience_ms / 1000, patience_ms % 1000 * 1000};
    assert_int_equal(evconnlistener_iocp_set_first_data(listener, bytes, &patience), 0);
}

evutil_socket_t connect_peer(struct evconnlistener *to)
{
    struct sockaddr_in address = {};
    int length = sizeof(address);
    getsockname(evconnlistener_get_fd(to != nullptr ? to : listener), reinterpret_cast<struct sockaddr *>(&address),
                &length);
    auto peer = static_cast<evutil_socket_t>(socket(AF_INET, SOCK_STREAM, 0));
    assert_int_equal(connect(peer, reinterpret_cast<struct sockaddr *>(&address), length), 0);
    int on = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char *>(&on), sizeof(on));
    evutil_make_socket_nonblocking(peer);
    return peer;
}

void say(evutil_socket_t peer, const std::string &what)
{
    assert_int_equal(send(peer, what.data(), static_cast<int>(what.size()), 0), what.size());
}

bool was_closed(evutil_socket_t peer)
{
    char byte;
    int got = recv(peer, &byte, 1, 0);
    return got == 0 || (got < 0 && WSAGetLastError() != WSAEWOULDBLOCK);
}

} // namespace world
