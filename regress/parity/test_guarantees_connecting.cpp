// R3, R8, R12, S14, S15: connects.
#include "guarantees.h"

#include <string.h>

namespace parity {

namespace {

bool connect_to(record *one, struct sockaddr_in address)
{
    return bufferevent_socket_connect(one->bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0;
}

bool accept_from(record *one)
{
    one->on.near_end = static_cast<SOCKET>(bufferevent_getfd(one->bev));
    return connection_accept(&one->on);
}

bool r3_enable_before_a_connection(struct event_base *base)
{
    record one;
    REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(bufferevent_enable(one.bev, EV_READ | EV_WRITE) == 0);
    bufferevent_write(one.bev, "early", 5);
    REQUIRE(connect_to(&one, open_address()));
    REQUIRE(accept_from(&one));
    peer_send(&one.on, 100, 1);
    REQUIRE(run_until(base, [&] { return one.connected == 1 && one.data.size() == 100; }));
    std::string got;
    REQUIRE(peer_reads(base, &one.on, &got, 5) && got == "early");
    close_pair(&one);
    return true;
}

// As evhttp's client does: the descriptor is taken away, writing enabled, and then a connect asked for.
bool r3_enable_without_a_descriptor_then_connect(struct event_base *base)
{
    record one;
    REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(bufferevent_setfd(one.bev, -1) == 0);
    REQUIRE(bufferevent_enable(one.bev, EV_WRITE) == 0);
    REQUIRE(connect_to(&one, open_address()));
    REQUIRE(accept_from(&one));
    REQUIRE(run_until(base, [&] { return one.connected == 1; }));
    REQUIRE((bufferevent_get_enabled(one.bev) & EV_WRITE) != 0);
    close_pair(&one);
    return true;
}

// The descriptor that it has already, while its connect is under way: that goes on.
bool r3_setfd_to_the_same_amid_a_connect(struct event_base *base)
{
    for (int options : {0, static_cast<int>(BEV_OPT_CLOSE_ON_FREE)})
        for (bool from_the_first : {false, true})
            for (short enabled : {EV_WRITE, EV_READ | EV_WRITE}) {
                record one;
                REQUIRE(open_unconnected(base, &one, options));
                SOCKET own = socket(AF_INET, SOCK_STREAM, 0);
                evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(own));
                if (from_the_first)
                    REQUIRE(bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(own)) == 0);
                else
                    closesocket(own);
                REQUIRE(bufferevent_enable(one.bev, enabled) == 0);
                bufferevent_write(one.bev, "early", 5);
                REQUIRE(connect_to(&one, open_address()));
                REQUIRE(bufferevent_setfd(one.bev, bufferevent_getfd(one.bev)) == 0);
                REQUIRE(accept_from(&one));
                std::string got;
                REQUIRE(peer_reads(base, &one.on, &got, 5) && got == "early");
                REQUIRE(one.connected == 1 && one.errors == 0);
                SOCKET left = options == 0 ? one.on.near_end : INVALID_SOCKET;
                close_pair(&one);
                if (left != INVALID_SOCKET)
                    closesocket(left);
            }
    return true;
}

enum class stage { under_way, told, bytes_wait, bytes_are_read };

bool reaches(struct event_base *base, record *one, stage wanted)
{
    if (wanted == stage::under_way)
        return true;
    REQUIRE(accept_from(one));
    REQUIRE(run_until(base, [&] { return one->connected == 1; }));
    if (wanted == stage::told)
        return true;
    peer_send(&one->on, 100, 1);
    REQUIRE(run_until(base, [&] { return one->data.size() == one->on.sent; }));
    if (wanted == stage::bytes_are_read)
        bufferevent_disable(one->bev, EV_READ);
    peer_send(&one->on, 100, 1);
    some_turns(base);
    peer_send(&one->on, 100, 1);
    return true;
}

// It is refused, as connect() would be, and whatever is under way goes on.
bool r3_a_second_connect_changes_nothing(struct event_base *base)
{
    for (int options : {0, static_cast<int>(BEV_OPT_CLOSE_ON_FREE)})
        for (stage wanted : {stage::under_way, stage::told, stage::bytes_wait, stage::bytes_are_read}) {
            record one;
            REQUIRE(open_unconnected(base, &one, options));
            REQUIRE(bufferevent_enable(one.bev, EV_READ | EV_WRITE) == 0);
            REQUIRE(connect_to(&one, open_address()));
            evutil_socket_t fd = bufferevent_getfd(one.bev);
            REQUIRE(reaches(base, &one, wanted));
            int writes = one.writes;
            REQUIRE(!connect_to(&one, open_address()));
            REQUIRE(bufferevent_getfd(one.bev) == fd);
            if (wanted == stage::under_way)
                REQUIRE(accept_from(&one));
            else
                some_turns(base);
            REQUIRE(wanted == stage::under_way || one.writes == writes);
            bufferevent_enable(one.bev, EV_READ);
            bufferevent_write(one.bev, "on", 2);
            peer_send(&one.on, 50, 1);
            REQUIRE(run_until(base, [&] { return one.connected == 1 && one.data.size() == one.on.sent; }));
            REQUIRE(one.data == pattern(one.on.id, 0, one.on.sent));
            std::string got;
            REQUIRE(peer_reads(base, &one.on, &got, 2) && got == "on");
            REQUIRE(one.errors == 0 && one.ended == 0 && one.connected == 1);
            close_pair(&one);
        }
    return true;
}

bool r8_refused_connect_is_prompt_and_typed(struct event_base *base)
{
    for (int i = 0; i < 20; ++i) {
        record one;
        REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_WRITE);
        REQUIRE(connect_to(&one, closed_address()));
        REQUIRE(run_until(base, [&] { return one.errors + one.ended + one.connected > 0; }));
        turn(base);
        REQUIRE(one.errors == 1 && one.ended == 0 && one.connected == 0);
        REQUIRE(one.error == WSAECONNREFUSED);
        close_pair(&one);
    }
    return true;
}

bool r8_refused_by_name(struct event_base *base)
{
    record one;
    REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(bufferevent_socket_connect_hostname(one.bev, nullptr, AF_INET, "127.0.0.1",
                                                ntohs(closed_address().sin_port)) == 0);
    REQUIRE(run_until(base, [&] { return one.errors + one.connected > 0; }));
    some_turns(base);
    REQUIRE(one.errors == 1 && one.connected == 0);
    close_pair(&one);
    return true;
}

bool r12_connected_is_told_once_and_first(struct event_base *base)
{
    for (int i = 0; i < 20; ++i) {
        record one;
        REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(one.bev, EV_READ);
        REQUIRE(connect_to(&one, open_address()));
        REQUIRE(one.connected == 0);
        REQUIRE(accept_from(&one));
        REQUIRE(run_until(base, [&] { return one.connected > 0; }));
        REQUIRE(one.reads == 0 && one.writes == 0);
        some_turns(base);
        REQUIRE(one.connected == 1 && one.errors == 0 && !one.wrong_thread);
        close_pair(&one);
    }
    return true;
}

bool s15_a_connected_socket_is_a_whole_one(struct event_base *base)
{
    record one;
    REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(connect_to(&one, open_address()));
    REQUIRE(accept_from(&one));
    REQUIRE(run_until(base, [&] { return one.connected == 1; }));
    struct sockaddr_in name;
    int length = sizeof(name);
    REQUIRE(getpeername(one.on.near_end, reinterpret_cast<struct sockaddr *>(&name), &length) == 0);
    REQUIRE(name.sin_port == open_address().sin_port);
    length = sizeof(name);
    REQUIRE(getsockname(one.on.near_end, reinterpret_cast<struct sockaddr *>(&name), &length) == 0);
    REQUIRE(shutdown(one.on.near_end, SD_SEND) == 0);
    std::string got;
    REQUIRE(peer_reads_to_the_end(base, &one.on, &got) && got.empty() && !one.on.far_reset);
    close_pair(&one);
    return true;
}

void accept_and_greet(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    ++*static_cast<int *>(argument);
    send(static_cast<SOCKET>(fd), "six", 3, 0);
    evutil_closesocket(fd);
}

bool s14_ipv6_listener_and_connect(struct event_base *base)
{
    struct sockaddr_in6 address;
    memset(&address, 0, sizeof(address));
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    int accepted = 0;
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, accept_and_greet, &accepted, LEV_OPT_CLOSE_ON_FREE, -1,
                                reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    if (listener == nullptr) {
        puts("no IPv6 loopback here: nothing tested");
        return true;
    }
    int length = sizeof(address);
    getsockname(static_cast<SOCKET>(evconnlistener_get_fd(listener)), reinterpret_cast<struct sockaddr *>(&address),
                &length);
    record one;
    REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    REQUIRE(bufferevent_socket_connect(one.bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0);
    REQUIRE(run_until(base, [&] { return one.ended + one.errors > 0; }));
    REQUIRE(one.connected == 1 && one.errors == 0 && accepted == 1 && one.data == "six");
    close_pair(&one);
    evconnlistener_free(listener);
    return true;
}

SOCKET datagram_socket(struct sockaddr_in *address)
{
    SOCKET made = socket(AF_INET, SOCK_DGRAM, 0);
    *address = open_address();
    address->sin_port = 0;
    int length = sizeof(*address);
    if (bind(made, reinterpret_cast<struct sockaddr *>(address), length) != 0 ||
        getsockname(made, reinterpret_cast<struct sockaddr *>(address), &length) != 0)
        return INVALID_SOCKET;
    return made;
}

// A socket for datagrams can be a bufferevent's, too, and has each of them.
bool s15_a_connect_of_datagrams(struct event_base *base)
{
    record one = {};
    one.on.far_end = INVALID_SOCKET;
    struct sockaddr_in own_address, address;
    SOCKET own = datagram_socket(&own_address), peer = datagram_socket(&address);
    REQUIRE(own != INVALID_SOCKET && peer != INVALID_SOCKET);
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(own));
    one.on.near_end = INVALID_SOCKET; // it is closed with its bufferevent
    one.bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(own), BEV_OPT_CLOSE_ON_FREE);
    note_callbacks(&one);
    bufferevent_enable(one.bev, EV_READ);
    REQUIRE(connect_to(&one, address));
    some_turns(base);
    std::string expected;
    for (size_t size : {5, 5, 3000, 5}) {
        std::string datagram = pattern(3, expected.size(), size);
        expected += datagram;
        sendto(peer, datagram.data(), static_cast<int>(size), 0, reinterpret_cast<struct sockaddr *>(&own_address),
               sizeof(own_address));
        REQUIRE(run_until(base, [&] { return one.data.size() >= expected.size(); }));
        some_turns(base);
    }
    REQUIRE(one.data == expected && one.errors == 0 && one.ended == 0);
    closesocket(peer);
    close_pair(&one);
    return true;
}

// None of them can be connected to, and the call says so.
bool fails_at_once(record *one, int how)
{
    struct sockaddr_in address = how == 0 ? open_address() : closed_address();
    if (how == 1)
        address.sin_addr.s_addr = INADDR_BROADCAST;
    else if (how == 2)
        address.sin_port = 0;
    int length = how == 0 ? 4 : static_cast<int>(sizeof(address));
    return bufferevent_socket_connect(one->bev, reinterpret_cast<struct sockaddr *>(&address), length) == -1;
}

// As if it had not been asked for: nothing is told of it, and who waited waits on.
bool check_failed_connect(struct event_base *base, int how, bool has_socket, bool reads, int *failed)
{
    record one;
    struct timeval limit = {0, 50 * 1000};
    REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
    if (has_socket) { // writing is enabled, and nothing waits to
        bufferevent_free(one.bev);
        SOCKET own = socket(AF_INET, SOCK_STREAM, 0);
        evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(own));
        one.bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(own), BEV_OPT_CLOSE_ON_FREE);
        note_callbacks(&one);
    }
    if (reads) {
        bufferevent_set_timeouts(one.bev, &limit, nullptr);
        bufferevent_enable(one.bev, EV_READ);
    }
    int waiting = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
    if (fails_at_once(&one, how)) {
        ++*failed;
        REQUIRE(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) == waiting);
        REQUIRE((bufferevent_getfd(one.bev) >= 0) == has_socket);
        if (reads)
            REQUIRE(run_until(base, [&] { return one.timeouts > 0; }));
        some_turns(base);
        REQUIRE(one.writes == 0 && one.errors == 0 && one.ended == 0 && one.connected == 0);
        REQUIRE(one.timeouts == (reads ? 1 : 0));
    } else { // a kernel that takes its time with it
        REQUIRE(run_until(base, [&] { return one.errors > 0; }));
        REQUIRE(one.errors == 1 && one.connected == 0);
    }
    close_pair(&one);
    return true;
}

bool r8_a_connect_that_fails_at_once_changes_nothing(struct event_base *base)
{
    int failed = 0;
    for (int how : {0, 1, 2})
        for (bool has_socket : {false, true})
            for (bool reads : {false, true})
                REQUIRE(check_failed_connect(base, how, has_socket, reads, &failed));
    REQUIRE(failed > 0);
    return true;
}

} // namespace

const guarantee connecting_guarantees[] = {
    {"r3_enable_before_a_connection", r3_enable_before_a_connection},
    {"r3_enable_without_a_descriptor_then_connect", r3_enable_without_a_descriptor_then_connect},
    {"r3_setfd_to_the_same_amid_a_connect", r3_setfd_to_the_same_amid_a_connect},
    {"r3_a_second_connect_changes_nothing", r3_a_second_connect_changes_nothing},
    {"r8_refused_connect_is_prompt_and_typed", r8_refused_connect_is_prompt_and_typed},
    {"r8_refused_by_name", r8_refused_by_name},
    {"r12_connected_is_told_once_and_first", r12_connected_is_told_once_and_first},
    {"s14_ipv6_listener_and_connect", s14_ipv6_listener_and_connect},
    {"r8_a_connect_that_fails_at_once_changes_nothing", r8_a_connect_that_fails_at_once_changes_nothing},
    {"s15_a_connect_of_datagrams", s15_a_connect_of_datagrams},
    {"s15_a_connected_socket_is_a_whole_one", s15_a_connected_socket_is_a_whole_one},
    {nullptr, nullptr},
};

} // namespace parity
