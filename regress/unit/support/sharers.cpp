#include "support/sharers.h"
#include "support/check.h"

namespace iocp {

sharing_world w;

void sharing_fails(const char *what)
{
    fail_msg("%s, seed %u", what, static_cast<unsigned>(w.seed));
}

namespace {

void note_client(const struct sockaddr *address)
{
    int port = ntohs(reinterpret_cast<const struct sockaddr_in *>(address)->sin_port);
    if (port < 1 || port > w.clients || ++w.times[port] != 1)
        sharing_fails("a client is accepted twice, or is none");
}

void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int, void *argument)
{
    auto *self = static_cast<sharer *>(argument);
    if (listener != self->listener || !self->enabled)
        sharing_fails("a listener that is disabled or freed is called");
    note_client(address);
    if (!fake::is_inherited(static_cast<SOCKET>(fd)))
        sharing_fails("no child process would inherit the connection, as on select");
    ++self->accepted;
    evutil_closesocket(fd);
    if (w.in_callback != nullptr)
        w.in_callback();
}

void on_readable(evutil_socket_t fd, short, void *)
{
    ++w.own_told;
    struct sockaddr_storage peer;
    int length = sizeof(peer);
    SOCKET taken = accept(static_cast<SOCKET>(fd), reinterpret_cast<struct sockaddr *>(&peer), &length);
    if (taken == INVALID_SOCKET)
        return;
    note_client(reinterpret_cast<struct sockaddr *>(&peer));
    ++w.accepted_by_own;
    fake::close_by_program(taken);
}

} // namespace

int set_up_sharers(void **)
{
    catch_log();
    return set_up_kernel(nullptr);
}

void add_listener(unsigned which, unsigned base, unsigned flags)
{
    sharer *self = &w.sharers[which];
    *self = {nullptr, base, true, 0};
    self->listener =
        evconnlistener_new(w.bases[base], on_accept, self, flags, 0, static_cast<evutil_socket_t>(w.socket));
    assert_non_null(self->listener);
}

void add_owner(unsigned which, unsigned base)
{
    add_listener(which, base, LEV_OPT_CLOSE_ON_FREE);
    w.owner = which;
}

void remove_listener(unsigned which)
{
    struct evconnlistener *freed = w.sharers[which].listener;
    w.sharers[which].listener = nullptr;
    evconnlistener_free(freed);
}

void set_enabled(unsigned which, bool enabled)
{
    w.sharers[which].enabled = enabled;
    if ((enabled ? evconnlistener_enable : evconnlistener_disable)(w.sharers[which].listener) != 0)
        sharing_fails("a listener cannot be enabled or disabled");
}

void add_own(unsigned base)
{
    auto fd = static_cast<evutil_socket_t>(w.socket);
    w.own[base] = event_new(w.bases[base], fd, EV_READ | EV_PERSIST, on_readable, nullptr);
    assert_int_equal(event_add(w.own[base], nullptr), 0);
}

void remove_own(unsigned base)
{
    if (w.own[base] != nullptr)
        event_free(w.own[base]);
    w.own[base] = nullptr;
}

void clients_come(int count)
{
    for (int i = 0; i < count && w.clients < max_clients; ++i)
        fake::client_arrives(w.socket, {static_cast<uint16_t>(++w.clients), fake::fate_taken, ""});
}

void turns(unsigned base, int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(w.bases[base]);
        if (fake::sockets_inherited() > 1) // more than the listening one, while nobody was told of it
            sharing_fails("a child process would inherit what nobody has");
    }
}

void sleep_while(unsigned base, const std::function<void()> &meanwhile)
{
    turns(base, 2);
    w.asleep[base] = true;
    struct timeval limit = {1, 0};
    event_base_loopexit(w.bases[base], &limit);
    fake::at(fake::now_us(), meanwhile);
    event_base_loop(w.bases[base], EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    w.asleep[base] = false;
}

void open_world(unsigned bases)
{
    uint64_t seed = w.seed;
    w = sharing_world();
    w.seed = seed;
    w.owner = max_listeners;
    w.socket = fake::open_socket(fake::kind::listener);
    for (unsigned i = 0; i < bases; ++i)
        w.bases[i] = make_base(on_iocp);
}

int accepted(unsigned which)
{
    return w.sharers[which].accepted;
}

int all_accepted()
{
    int sum = 0;
    for (const sharer &each : w.sharers)
        sum += each.accepted;
    return sum;
}

void close_world()
{
    for (unsigned i = 0; i < max_listeners; ++i)
        if (w.sharers[i].listener != nullptr && i != w.owner)
            remove_listener(i);
    for (unsigned i = 0; i < max_bases; ++i)
        remove_own(i);
    if (w.owner != max_listeners)
        remove_listener(w.owner);
    else
        fake::close_by_program(w.socket);
    for (struct event_base *base : w.bases)
        if (base != nullptr)
            event_base_free(base);
    assert_null(fake::complaint_after_free());
}

} // namespace iocp
