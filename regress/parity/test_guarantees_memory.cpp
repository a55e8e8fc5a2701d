// Allocations that fail, one after the other, while connections are made and used: each user has what he waits for or
// is told that he will not, nothing is lost without a word, nothing leaks, and the next connection works.
#include "guarantees.h"
#ifdef EVENT__HAVE_OPENSSL
#include "tls.h"
#endif

#include <string.h>

#include <memory>
#include <vector>

namespace parity {

namespace {

constexpr size_t payload = 6000;
constexpr long max_points = 400;
// libevent does not look whether an event could be added where it connects, nor whether a bufferevent will be told that
// it has something to write: once for each of three users, on select. On the port nobody waits in vain.
constexpr long most_deaf_on_select = 6;
// On select libevent's TLS takes its first events for granted.
constexpr long most_deaf_with_tls_on_select = 20;

enum class state { waiting, done, told };

enum class world_kind { plain, tls, first_data };

struct world {
    world_kind kind;
    struct event_base *base;
    struct evconnlistener *listener;
    std::vector<struct bufferevent *> servers;
    int listener_errors;
};

struct user {
    struct bufferevent *bev;
    std::string got;
    state at;
};

void echo(struct bufferevent *bev, void *)
{
    if (bufferevent_write_buffer(bev, bufferevent_get_input(bev)) != 0)
        bufferevent_trigger_event(bev, BEV_EVENT_ERROR, 0);
}

void drop_server(struct bufferevent *bev, short what, void *argument)
{
    if ((what & BEV_EVENT_CONNECTED) != 0)
        return;
    auto *self = static_cast<world *>(argument);
    for (struct bufferevent *&each : self->servers)
        if (each == bev)
            each = nullptr;
    bufferevent_free(bev);
}

#ifdef EVENT__HAVE_OPENSSL
// libevent's own part of the constructor does not survive the failure of these.
constexpr long constructor_allocations = 4;

struct bufferevent *new_tls(struct event_base *base, evutil_socket_t fd, bufferevent_ssl_state state)
{
    spare_allocations(constructor_allocations);
    struct bufferevent *made = bufferevent_openssl_socket_new(base, fd, tls_new(), state, BEV_OPT_CLOSE_ON_FREE);
    spare_allocations(0);
    return made;
}
#endif

struct bufferevent *new_bufferevent(const world *of, evutil_socket_t fd)
{
#ifdef EVENT__HAVE_OPENSSL
    if (of->kind == world_kind::tls)
        return new_tls(of->base, fd, fd < 0 ? BUFFEREVENT_SSL_CONNECTING : BUFFEREVENT_SSL_ACCEPTING);
#endif
    return bufferevent_socket_new(of->base, fd, BEV_OPT_CLOSE_ON_FREE);
}

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    auto *self = static_cast<world *>(argument);
    struct bufferevent *made = new_bufferevent(self, fd);
    if (made == nullptr) {
        evutil_closesocket(fd);
        return;
    }
    self->servers.push_back(made);
    bufferevent_setcb(made, echo, nullptr, drop_server, self);
    if (bufferevent_enable(made, EV_READ | EV_WRITE) != 0)
        drop_server(made, BEV_EVENT_ERROR, self);
}

void on_listener_error(struct evconnlistener *, void *argument)
{
    ++static_cast<world *>(argument)->listener_errors;
}

void end_user(user *self, state at)
{
    self->at = at;
    if (self->bev != nullptr)
        bufferevent_free(self->bev);
    self->bev = nullptr;
}

void on_echo(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<user *>(argument);
    char data[4096];
    for (size_t bytes; (bytes = bufferevent_read(bev, data, sizeof(data))) > 0;)
        self->got.append(data, bytes);
    if (self->got.size() >= payload)
        end_user(self, state::done);
}

void on_user_event(struct bufferevent *bev, short what, void *argument)
{
    auto *self = static_cast<user *>(argument);
    std::string data = pattern(1, 0, payload);
    if (what != BEV_EVENT_CONNECTED || bufferevent_write(bev, data.data(), data.size()) != 0)
        end_user(self, state::told);
}

void connect_user(world *of, user *self)
{
    struct sockaddr_in address;
    int length = sizeof(address);
    *self = {};
    getsockname(static_cast<SOCKET>(evconnlistener_get_fd(of->listener)), reinterpret_cast<struct sockaddr *>(&address),
                &length);
    self->bev = new_bufferevent(of, -1);
    if (self->bev == nullptr) {
        self->at = state::told;
        return;
    }
    bufferevent_setcb(self->bev, on_echo, nullptr, on_user_event, self);
    if (bufferevent_enable(self->bev, EV_READ | EV_WRITE) != 0 ||
        bufferevent_socket_connect(self->bev, reinterpret_cast<struct sockaddr *>(&address), length) != 0)
        end_user(self, state::told);
}

bool open_world(world *into, world_kind kind)
{
    into->kind = kind;
    struct sockaddr_in address = open_address();
    address.sin_port = 0;
    into->base = new_base();
    into->listener = evconnlistener_new_bind(into->base, on_accept, into, LEV_OPT_CLOSE_ON_FREE, 16,
                                             reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    if (into->listener == nullptr)
        return false;
    evconnlistener_set_error_cb(into->listener, on_listener_error);
    if (kind == world_kind::first_data && !ask_for_first_data(into->listener))
        return false;
    some_turns(into->base);
    return true;
}

void close_world(world *of)
{
    for (struct bufferevent *each : of->servers)
        if (each != nullptr)
            bufferevent_free(each);
    evconnlistener_free(of->listener);
    event_base_loop(of->base, EVLOOP_NONBLOCK);
    event_base_free(of->base);
}

bool is_select(const struct event_base *base)
{
    return strcmp(event_base_get_method(base), "win32") == 0;
}

// On select some wait for ever, and are not waited for. On the port none does, so that there time decides of nothing.
ULONGLONG patience_beside_failures(const world *of)
{
    return is_select(of->base) ? 1000 : deadline_ms;
}

// How many users wait for ever. Turns without a timer of our own, whose allocation could be the one that fails.
size_t run_until_all_end(world *of, const std::vector<user> &users, ULONGLONG patience_ms)
{
    ULONGLONG begun = GetTickCount64();
    size_t waiting = 1;
    while (waiting > 0 && GetTickCount64() - begun < patience_ms && event_base_loop(of->base, EVLOOP_NONBLOCK) >= 0) {
        waiting = 0;
        for (const user &each : users)
            waiting += each.at == state::waiting;
    }
    return waiting;
}

struct outcome {
    long asked; // for memory, while the users came and went
    size_t waiting;
};

// From the `point`th allocation on, `count` fail.
bool run_world(world_kind kind, long point, long count, outcome *into)
{
    long blocks = live_blocks();
    {
        world of = {};
        REQUIRE(open_world(&of, kind));
        std::vector<user> users(3), next(1);
        fail_allocations(point, count);
        for (user &each : users)
            connect_user(&of, &each);
        into->waiting = run_until_all_end(&of, users, patience_beside_failures(&of));
        into->asked = fail_allocations(0, 0);
        for (user &each : users) {
            REQUIRE(each.got == pattern(1, 0, each.got.size()));
            end_user(&each, each.at);
        }
        connect_user(&of, &next[0]);
        REQUIRE(run_until_all_end(&of, next, deadline_ms) == 0 && next[0].at == state::done);
        close_world(&of);
    }
    REQUIRE(live_blocks() == blocks);
    return true;
}

bool memory_fails(world_kind kind, long count, long most_deaf)
{
    evutil_socket_error_to_string(WSAENOBUFS); // libevent keeps such texts
    long point = 1, deaf = 0;
    for (outcome each = {1, 0}; each.asked >= point - 1 && point < max_points; ++point) {
        if (!run_world(kind, point, count, &each)) {
            printf("allocation %ld failed, and %ld in all\n", point, count);
            return false;
        }
        if (each.waiting != 0)
            printf("nobody was told that allocation %ld failed\n", point);
        deaf += each.waiting != 0;
        REQUIRE(deaf <= most_deaf);
    }
    printf("%ld points, %ld of them not told\n", point - 1, deaf);
    REQUIRE(point > 15 && point < max_points);
    return true;
}

bool memory_fails_once(struct event_base *base)
{
    return memory_fails(world_kind::plain, 1, is_select(base) ? most_deaf_on_select : 0);
}

bool memory_fails_twice(struct event_base *base)
{
    return memory_fails(world_kind::plain, 2, is_select(base) ? most_deaf_on_select : 0);
}

// (Where there is none, the connections come without.)
bool memory_fails_beside_first_data(struct event_base *base)
{
    for (long count : {1, 2})
        REQUIRE(memory_fails(world_kind::first_data, count, is_select(base) ? most_deaf_on_select : 0));
    return true;
}

#ifdef EVENT__HAVE_OPENSSL
bool memory_fails_beside_tls(struct event_base *base)
{
    for (long count : {1, 2})
        REQUIRE(memory_fails(world_kind::tls, count, is_select(base) ? most_deaf_with_tls_on_select : 0));
    return true;
}
#endif

// A socket of the program's own, bound to a port.
evutil_socket_t own_socket()
{
    struct sockaddr_in address = open_address();
    address.sin_port = 0;
    auto own = static_cast<evutil_socket_t>(socket(AF_INET, SOCK_STREAM, 0));
    evutil_make_socket_nonblocking(own);
    bind(static_cast<SOCKET>(own), reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    return own;
}

bool is_a_socket(evutil_socket_t fd)
{
    int type, length = sizeof(type);
    return getsockopt(static_cast<SOCKET>(fd), SOL_SOCKET, SO_TYPE, reinterpret_cast<char *>(&type), &length) == 0;
}

// A listener that is made serves, or it is not made; and then the socket that the program brought is still the program's.
bool memory_fails_for_a_listener(struct event_base *base)
{
    long most_deaf = is_select(base) ? 1 : 0;
    long refused = 0;
    for (long point = 1, asked = 1, deaf = 0; asked >= point - 1; ++point) {
        std::vector<user> users(1);
        world of = {world_kind::plain, new_base(), nullptr, {}, 0};
        evutil_socket_t own = own_socket();
        REQUIRE(is_a_socket(own));
        fail_allocations(point, 1);
        of.listener = evconnlistener_new(of.base, on_accept, &of, LEV_OPT_CLOSE_ON_FREE, 16, own);
        asked = fail_allocations(0, 0);
        if (of.listener != nullptr) {
            connect_user(&of, &users[0]);
            bool is_deaf = run_until_all_end(&of, users, patience_beside_failures(&of)) != 0;
            REQUIRE(is_deaf || users[0].at == state::done);
            deaf += is_deaf;
            end_user(&users[0], users[0].at);
            close_world(&of);
        } else {
            ++refused;
            REQUIRE(is_a_socket(own));
            evutil_closesocket(own);
            event_base_free(of.base);
        }
        REQUIRE(point < max_points && deaf <= most_deaf);
    }
    REQUIRE(refused != 0);
    return true;
}

} // namespace

const guarantee memory_guarantees[] = {
    {"memory_fails_once", memory_fails_once},
    {"memory_fails_twice", memory_fails_twice},
    {"memory_fails_beside_first_data", memory_fails_beside_first_data},
#ifdef EVENT__HAVE_OPENSSL
    {"memory_fails_beside_tls", memory_fails_beside_tls},
#endif
    {"memory_fails_for_a_listener", memory_fails_for_a_listener},
    {nullptr, nullptr},
};

} // namespace parity
