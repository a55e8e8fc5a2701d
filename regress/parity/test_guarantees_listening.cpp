// R4, R14, R15, S1, S3, S4: accepts.
#include "guarantees.h"

#include "../real/accounting.h"

#include <string.h>

#include <algorithm>
#include <vector>

namespace parity {

namespace {

constexpr int few_resets = 300;
constexpr int many_resets = 10000;
constexpr int resets_in_a_row = 30; // well within the backlog
constexpr int burst = 100;

struct server {
    struct evconnlistener *listener;
    struct sockaddr_in address;
    int accepted;
    int errors;
    bool inheritable;
    bool wrong_thread;
    DWORD thread;
    std::vector<int> ports;
};

void on_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *address, int, void *argument)
{
    auto *self = static_cast<server *>(argument);
    ++self->accepted;
    self->wrong_thread = self->wrong_thread || GetCurrentThreadId() != self->thread;
    self->ports.push_back(ntohs(reinterpret_cast<struct sockaddr_in *>(address)->sin_port));
    DWORD flags = 0;
    GetHandleInformation(reinterpret_cast<HANDLE>(fd), &flags);
    self->inheritable = (flags & HANDLE_FLAG_INHERIT) != 0;
    evutil_closesocket(fd);
}

void on_error(struct evconnlistener *, void *argument)
{
    ++static_cast<server *>(argument)->errors;
}

bool open_server(struct event_base *base, server *into, unsigned flags, evconnlistener_cb callback = on_accept)
{
    *into = {};
    into->thread = GetCurrentThreadId();
    into->address = open_address();
    into->address.sin_port = 0;
    into->listener =
        evconnlistener_new_bind(base, callback, into, flags | LEV_OPT_CLOSE_ON_FREE, -1,
                                reinterpret_cast<struct sockaddr *>(&into->address), sizeof(into->address));
    if (into->listener == nullptr)
        return false;
    evconnlistener_set_error_cb(into->listener, on_error);
    int length = sizeof(into->address);
    return getsockname(static_cast<SOCKET>(evconnlistener_get_fd(into->listener)),
                       reinterpret_cast<struct sockaddr *>(&into->address), &length) == 0;
}

SOCKET connect_peer(const server *to)
{
    SOCKET peer = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = to->address;
    if (connect(peer, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0)
        return peer;
    closesocket(peer);
    return INVALID_SOCKET;
}

// A client that stays, whose turn comes when those before it are done with.
bool accepts_another(struct event_base *base, server *of)
{
    SOCKET peer = connect_peer(of);
    struct sockaddr_in name;
    int length = sizeof(name);
    if (getsockname(peer, reinterpret_cast<struct sockaddr *>(&name), &length) != 0)
        return false;
    of->ports.clear();
    bool accepted = run_until(
        base, [&] { return std::find(of->ports.begin(), of->ports.end(), ntohs(name.sin_port)) != of->ports.end(); });
    closesocket(peer);
    return accepted;
}

bool survives_resets(struct event_base *base, int resets)
{
    server one;
    REQUIRE(open_server(base, &one, 0));
    some_turns(base);
    unsigned long handles_before = accounting::open_handles();
    for (int i = 0; i < resets; ++i) {
        connection gone = {};
        gone.far_end = connect_peer(&one);
        REQUIRE(gone.far_end != INVALID_SOCKET);
        peer_reset(&gone);
        if (i % resets_in_a_row == resets_in_a_row - 1)
            REQUIRE(accepts_another(base, &one));
    }
    some_turns(base);
    int before = one.accepted;
    SOCKET peer = connect_peer(&one);
    REQUIRE(run_until(base, [&] { return one.accepted > before; }));
    REQUIRE(one.errors == 0);
    unsigned long with_the_peer = accounting::open_handles();
    closesocket(peer);
    REQUIRE(accounting::open_handles() < with_the_peer); // they are counted here
    some_turns(base);
    unsigned long handles_after = accounting::open_handles();
    REQUIRE(handles_after <= handles_before + 70); // the accepts kept in flight may have grown to their bound
    evconnlistener_free(one.listener);
    return true;
}

bool r4_listener_survives_resets(struct event_base *base)
{
    return survives_resets(base, few_resets);
}

bool r4_ten_thousand_resets(struct event_base *base)
{
    return survives_resets(base, many_resets);
}

bool r14_each_connection_is_told_once(struct event_base *base)
{
    server one;
    REQUIRE(open_server(base, &one, 0));
    for (int i = 1; i <= 200; ++i) {
        SOCKET peer = connect_peer(&one);
        REQUIRE(peer != INVALID_SOCKET);
        if (i % 3 == 0)
            REQUIRE(run_until(base, [&] { return one.accepted >= i; }));
        closesocket(peer);
    }
    REQUIRE(run_until(base, [&] { return one.accepted >= 200; }));
    some_turns(base);
    REQUIRE(one.accepted == 200 && one.errors == 0 && !one.wrong_thread);
    evconnlistener_free(one.listener);
    return true;
}

bool r15_disabled_listener_waits(struct event_base *base)
{
    server one;
    REQUIRE(open_server(base, &one, LEV_OPT_DISABLED));
    SOCKET peer = connect_peer(&one);
    REQUIRE(peer != INVALID_SOCKET);
    some_turns(base);
    REQUIRE(one.accepted == 0);
    evconnlistener_enable(one.listener);
    REQUIRE(run_until(base, [&] { return one.accepted == 1; }));
    closesocket(peer);
    evconnlistener_free(one.listener);
    return true;
}

bool r15_listener_enable_and_disable(struct event_base *base)
{
    server one;
    REQUIRE(open_server(base, &one, 0));
    for (int i = 1; i <= 20; ++i) {
        evconnlistener_disable(one.listener);
        SOCKET peer = connect_peer(&one);
        REQUIRE(peer != INVALID_SOCKET);
        for (int k = 0; k < 5; ++k)
            turn(base);
        REQUIRE(one.accepted == i - 1);
        evconnlistener_enable(one.listener);
        REQUIRE(run_until(base, [&] { return one.accepted == i; }));
        closesocket(peer);
    }
    evconnlistener_free(one.listener);
    return true;
}

bool r15_callback_set_later(struct event_base *base)
{
    server one;
    REQUIRE(open_server(base, &one, 0, nullptr));
    SOCKET peer = connect_peer(&one);
    some_turns(base);
    REQUIRE(one.accepted == 0);
    evconnlistener_set_cb(one.listener, on_accept, &one);
    REQUIRE(run_until(base, [&] { return one.accepted == 1; }));
    closesocket(peer);
    evconnlistener_free(one.listener);
    return true;
}

bool s3_burst_while_the_loop_is_stalled(struct event_base *base)
{
    server one;
    REQUIRE(open_server(base, &one, 0));
    some_turns(base);
    SOCKET peers[burst];
    for (SOCKET &peer : peers) {
        peer = connect_peer(&one);
        REQUIRE(peer != INVALID_SOCKET);
    }
    REQUIRE(run_until(base, [&] { return one.accepted == burst; }));
    for (SOCKET peer : peers)
        closesocket(peer);
    evconnlistener_free(one.listener);
    return true;
}

bool s4_close_on_exec(struct event_base *base)
{
    for (unsigned flags : {0u, static_cast<unsigned>(LEV_OPT_CLOSE_ON_EXEC)}) {
        server one;
        REQUIRE(open_server(base, &one, flags));
        SOCKET peer = connect_peer(&one);
        REQUIRE(run_until(base, [&] { return one.accepted == 1; }));
        REQUIRE(one.inheritable == (flags == 0));
        closesocket(peer);
        evconnlistener_free(one.listener);
    }
    return true;
}

bool r5_free_listener_leaves_nothing(struct event_base *)
{
    long blocks = live_blocks();
    for (int i = 0; i < 20; ++i) {
        server one;
        struct event_base *base = new_base();
        REQUIRE(base != nullptr && open_server(base, &one, (i & 1) != 0 ? LEV_OPT_DISABLED : 0u));
        SOCKET peer = connect_peer(&one);
        if ((i & 2) != 0)
            evconnlistener_disable(one.listener);
        if ((i & 4) != 0)
            turn(base);
        evconnlistener_free(one.listener);
        closesocket(peer);
        event_base_free(base);
    }
    REQUIRE(live_blocks() <= blocks);
    return true;
}

struct taker {
    int told;
    int taken;
};

taker of_program; // its event's argument is the listener

void on_own_event(evutil_socket_t fd, short, void *)
{
    ++of_program.told;
    SOCKET taken = accept(static_cast<SOCKET>(fd), nullptr, nullptr);
    if (taken != INVALID_SOCKET) {
        ++of_program.taken;
        closesocket(taken);
    }
}

// An event of the program's own is one, whatever it has for its argument.
bool r15_own_event_with_the_listener_for_argument(struct event_base *base)
{
    server one;
    REQUIRE(open_server(base, &one, 0));
    REQUIRE(accepts_another(base, &one));
    evconnlistener_disable(one.listener);
    of_program = {};
    struct event *own =
        event_new(base, evconnlistener_get_fd(one.listener), EV_READ | EV_PERSIST, on_own_event, one.listener);
    event_add(own, nullptr);
    some_turns(base);
    for (int i = 1; i <= 3; ++i) {
        SOCKET peer = connect_peer(&one);
        REQUIRE(peer != INVALID_SOCKET && run_until(base, [&] { return of_program.taken == i; }));
        closesocket(peer);
    }
    some_turns(base);
    REQUIRE(of_program.told <= 2 * of_program.taken); // and not in each turn
    event_free(own);
    evconnlistener_enable(one.listener);
    REQUIRE(accepts_another(base, &one));
    evconnlistener_free(one.listener);
    return true;
}

} // namespace

const guarantee listening_guarantees[] = {
    {"r4_listener_survives_resets", r4_listener_survives_resets},
    {"r4_ten_thousand_resets", r4_ten_thousand_resets},
    {"r5_free_listener_leaves_nothing", r5_free_listener_leaves_nothing},
    {"r14_each_connection_is_told_once", r14_each_connection_is_told_once},
    {"r15_disabled_listener_waits", r15_disabled_listener_waits},
    {"r15_listener_enable_and_disable", r15_listener_enable_and_disable},
    {"r15_callback_set_later", r15_callback_set_later},
    {"r15_own_event_with_the_listener_for_argument", r15_own_event_with_the_listener_for_argument},
    {"s3_burst_while_the_loop_is_stalled", s3_burst_while_the_loop_is_stalled},
    {"s4_close_on_exec", s4_close_on_exec},
    {nullptr, nullptr},
};

} // namespace parity
