// One listening socket, two users, one thread: listeners and plain events that begin, are disabled and are freed in all
// orders.
#include "guarantees.h"

namespace parity {

namespace {

// What one thread does to two bases with a listener each: a, b free the listeners, A, B the bases; 0, 1 disable the
// first and enable it; l turns both loops, and c is a client that connects.
struct pair {
    struct event_base *bases[2];
    struct evconnlistener *listeners[2];
    int accepted;
};

void on_pair_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    ++static_cast<pair *>(argument)->accepted;
    evutil_closesocket(fd);
}

// Each that connected while a listener was enabled, and the loops were turned after, is accepted.
void act(pair *on, char what, struct sockaddr_in address)
{
    int which = what == 'b' || what == 'B';
    if (what == 'a' || what == 'b') {
        evconnlistener_free(on->listeners[which]);
    } else if (what == 'A' || what == 'B') {
        event_base_free(on->bases[which]);
        on->bases[which] = nullptr;
    } else if (what == '0' || what == '1') {
        (what == '0' ? evconnlistener_disable : evconnlistener_enable)(on->listeners[0]);
    } else if (what == 'c') {
        closesocket(client_of(address));
    } else {
        for (int i = 0; i < 60; ++i)
            if (on->bases[i % 2] != nullptr)
                turn(on->bases[i % 2]);
    }
}

bool in_order(const char *letters, int accepted, bool one_base)
{
    pair both = {};
    struct sockaddr_in address;
    SOCKET socket = listening_socket(10, &address);
    REQUIRE(socket != INVALID_SOCKET);
    auto fd = static_cast<evutil_socket_t>(socket);
    for (int i = 0; i < 2; ++i) {
        both.bases[i] = one_base && i == 1 ? nullptr : new_base();
        struct event_base *base = one_base ? both.bases[0] : both.bases[i];
        both.listeners[i] = evconnlistener_new(base, on_pair_accept, &both, 0, 0, fd);
        REQUIRE(both.listeners[i] != nullptr);
        turn(base); // the first is alone, and has accepts in flight, when the second comes
    }
    for (const char *next = letters; *next != '\0'; ++next)
        if (!one_base || *next != 'B')
            act(&both, *next, address);
    closesocket(socket);
    if (both.accepted != accepted)
        printf("%s: %d accepted\n", letters, both.accepted);
    REQUIRE(both.accepted == accepted);
    REQUIRE(HeapValidate(GetProcessHeap(), 0, nullptr));
    return true;
}

struct order {
    const char *letters;
    int accepted;
};

const order orders[] = {
    {"lcbllaAB", 1},      {"lcallbAB", 1}, {"cccl0ccl1abAB", 5}, {"abAB", 0},        {"baBA", 0},
    {"aAclbB", 1},        {"bBclaA", 1},   {"claAclbB", 2},      {"0clbcl1laAB", 2}, {"0ccbB1laA", 2},
    {"0b1cclaABllll", 2}, {"0claAbB", 1},  {"clbclaABl", 2},
};

bool sharing_in_all_orders(struct event_base *)
{
    for (const order &each : orders)
        REQUIRE(in_order(each.letters, each.accepted, false));
    return true;
}

bool sharing_within_one_base(struct event_base *)
{
    for (const order &each : {order{"lclbclaA", 2}, order{"lclaclbA", 2}, order{"lclabA", 1}, order{"0cl1clbaA", 2}})
        REQUIRE(in_order(each.letters, each.accepted, true));
    return true;
}

void on_own_readable(evutil_socket_t fd, short, void *argument)
{
    SOCKET taken = accept(static_cast<SOCKET>(fd), nullptr, nullptr);
    if (taken == INVALID_SOCKET)
        return;
    ++*static_cast<int *>(argument);
    closesocket(taken);
}

// The plain event gets every client while the listener's base is not turned, or the listener is disabled.
bool own_accept_gets_all(bool one_base, bool listener_first, unsigned flags)
{
    pair both = {};
    struct sockaddr_in address;
    SOCKET socket = listening_socket(10, &address);
    REQUIRE(socket != INVALID_SOCKET);
    auto fd = static_cast<evutil_socket_t>(socket);
    struct event_base *listens = new_base();
    struct event_base *waits = one_base ? listens : new_base();
    int taken = 0;
    struct event *own = event_new(waits, fd, EV_READ | EV_PERSIST, on_own_readable, &taken);
    if (!listener_first)
        event_add(own, nullptr);
    struct evconnlistener *listener = evconnlistener_new(listens, on_pair_accept, &both, flags, 0, fd);
    REQUIRE(listener != nullptr);
    for (int i = 0; i < 3; ++i)
        turn(listens);
    if (listener_first)
        event_add(own, nullptr);
    if (one_base)
        evconnlistener_disable(listener);
    SOCKET peers[5];
    for (SOCKET &peer : peers)
        peer = client_of(address);
    REQUIRE(comes_true([&] {
        turn(waits);
        return taken == 5;
    }));
    REQUIRE(both.accepted == 0);
    event_free(own);
    evconnlistener_enable(listener);
    closesocket(client_of(address));
    REQUIRE(comes_true([&] {
        turn(listens);
        return both.accepted == 1;
    }));
    evconnlistener_free(listener);
    for (SOCKET peer : peers)
        closesocket(peer);
    if (flags == 0)
        closesocket(socket);
    event_base_free(listens);
    if (!one_base)
        event_base_free(waits);
    return true;
}

bool sharing_with_an_event_and_its_own_accept(struct event_base *)
{
    for (bool one_base : {false, true})
        for (bool listener_first : {false, true})
            for (unsigned flags : {0u, unsigned{LEV_OPT_CLOSE_ON_FREE}})
                REQUIRE(own_accept_gets_all(one_base, listener_first, flags));
    return true;
}

// Who comes while it is disabled is in the backlog, for the program's own accept().
bool sharing_a_disabled_listener_takes_nobody(struct event_base *base)
{
    pair both = {};
    struct sockaddr_in address;
    SOCKET socket = listening_socket(10, &address);
    REQUIRE(socket != INVALID_SOCKET);
    struct evconnlistener *listener =
        evconnlistener_new(base, on_pair_accept, &both, LEV_OPT_CLOSE_ON_FREE, 0, static_cast<evutil_socket_t>(socket));
    REQUIRE(listener != nullptr);
    for (int i = 0; i < 3; ++i)
        turn(base);
    evconnlistener_disable(listener);
    SOCKET peers[5];
    for (SOCKET &peer : peers)
        peer = client_of(address);
    int taken = 0;
    for (; taken < 4; ++taken) {
        SOCKET next = accept(socket, nullptr, nullptr);
        REQUIRE(next != INVALID_SOCKET);
        closesocket(next);
    }
    evconnlistener_enable(listener);
    REQUIRE(comes_true([&] {
        turn(base);
        return both.accepted == 1;
    }));
    evconnlistener_free(listener);
    for (SOCKET peer : peers)
        closesocket(peer);
    return true;
}

// Who has connected and was not accepted is the next one's, of whatever base, if the listener leaves its socket open.
bool sharing_one_after_the_other(struct event_base *)
{
    constexpr int each_time = 5;
    pair both = {};
    SOCKET peers[3 * each_time];
    int connected = 0;
    struct sockaddr_in address;
    SOCKET socket = listening_socket(SOMAXCONN, &address);
    REQUIRE(socket != INVALID_SOCKET);
    both.bases[0] = new_base();
    both.bases[1] = new_base();
    for (int i = 0; i <= 3; ++i) {
        struct event_base *base = both.bases[i % 2];
        struct evconnlistener *listener =
            evconnlistener_new(base, on_pair_accept, &both, 0, 0, static_cast<evutil_socket_t>(socket));
        REQUIRE(listener != nullptr);
        REQUIRE(comes_true([&] {
            turn(base);
            return both.accepted == connected;
        }));
        for (int k = 0; i < 3 && k < each_time; ++k) {
            peers[connected++] = client_of(address);
            REQUIRE(peers[connected - 1] != INVALID_SOCKET);
        }
        evconnlistener_free(listener);
    }
    for (SOCKET peer : peers)
        closesocket(peer);
    closesocket(socket);
    event_base_free(both.bases[0]);
    event_base_free(both.bases[1]);
    return true;
}

// A base that had the socket for itself and stalls keeps nobody who came before it turned once more.
bool sharing_leaves_nobody_to_a_base_that_stalls(struct event_base *stalls)
{
    for (unsigned i = 0; i < 10; ++i) {
        pair both = {};
        struct sockaddr_in address;
        SOCKET socket = listening_socket(10, &address);
        REQUIRE(socket != INVALID_SOCKET);
        auto fd = static_cast<evutil_socket_t>(socket);
        struct evconnlistener *owner = evconnlistener_new(stalls, on_pair_accept, &both, LEV_OPT_CLOSE_ON_FREE, 0, fd);
        REQUIRE(owner != nullptr);
        for (int k = 0; k < 3; ++k)
            turn(stalls);
        SOCKET peers[4];
        for (SOCKET &peer : peers)
            peer = client_of(address);
        struct event_base *goes_on = new_base();
        struct evconnlistener *next = evconnlistener_new(goes_on, on_pair_accept, &both, 0, 0, fd);
        REQUIRE(next != nullptr);
        REQUIRE(comes_true([&] {
            turn(goes_on);
            return both.accepted == 4;
        }));
        for (int k = 0; k < 3; ++k)
            turn(stalls);
        REQUIRE(both.accepted == 4);
        evconnlistener_free(next);
        event_base_free(goes_on);
        evconnlistener_free(owner);
        for (SOCKET peer : peers)
            closesocket(peer);
    }
    return true;
}

} // namespace

const guarantee sharing_order_guarantees[] = {
    {"sharing_in_all_orders", sharing_in_all_orders},
    {"sharing_within_one_base", sharing_within_one_base},
    {"sharing_with_an_event_and_its_own_accept", sharing_with_an_event_and_its_own_accept},
    {"sharing_a_disabled_listener_takes_nobody", sharing_a_disabled_listener_takes_nobody},
    {"sharing_one_after_the_other", sharing_one_after_the_other},
    {"sharing_leaves_nobody_to_a_base_that_stalls", sharing_leaves_nobody_to_a_base_that_stalls},
    {nullptr, nullptr},
};

} // namespace parity
