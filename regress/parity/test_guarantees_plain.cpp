// Plain events whose program does its own I/O, and adds and deletes them all the time, as thrift, pgbouncer and tor do.
#include "guarantees.h"

#include <memory>

namespace parity {

namespace {

constexpr int connections = 12;
constexpr int rounds = 25;
constexpr int message = 64;

enum class pattern_of { read_then_write, read_stays, read_again, write_beside, both_in_one, once };

struct talker {
    struct event_base *base;
    pattern_of how;
    connection on;
    struct event *reading, *writing;
    char message_bytes[message];
    int have;
    int answered;
    int wrong;
};

void watch(talker *self, short events);

void answer(talker *self)
{
    if (send(self->on.near_end, self->message_bytes, message, 0) != message)
        ++self->wrong;
    self->have = 0;
    ++self->answered;
}

void receive(talker *self)
{
    int bytes = recv(self->on.near_end, self->message_bytes + self->have, message - self->have, 0);
    if (bytes > 0)
        self->have += bytes;
    else if (bytes == 0 || WSAGetLastError() != WSAEWOULDBLOCK)
        ++self->wrong;
}

void after_message(talker *self)
{
    switch (self->how) {
    case pattern_of::read_then_write:
    case pattern_of::once:
        watch(self, EV_WRITE);
        break;
    case pattern_of::read_stays:
        answer(self);
        break;
    case pattern_of::read_again:
        answer(self);
        watch(self, EV_READ);
        break;
    case pattern_of::both_in_one:
        watch(self, EV_READ | EV_WRITE);
        break;
    case pattern_of::write_beside:
        event_add(self->writing, nullptr);
        break;
    }
}

void on_ready(evutil_socket_t, short what, void *argument)
{
    auto *self = static_cast<talker *>(argument);
    if ((what & EV_READ) != 0 && self->have < message) {
        receive(self);
        if (self->have == message)
            after_message(self);
        else if (self->how == pattern_of::once)
            watch(self, EV_READ);
    } else if ((what & EV_WRITE) != 0) {
        if (self->have != message)
            ++self->wrong;
        answer(self);
        if (self->how == pattern_of::write_beside)
            event_del(self->writing);
        else
            watch(self, EV_READ);
    }
}

void watch(talker *self, short events)
{
    auto persists = static_cast<short>(self->how == pattern_of::once ? 0 : EV_PERSIST);
    event_del(self->reading);
    event_assign(self->reading, self->base, static_cast<evutil_socket_t>(self->on.near_end),
                 static_cast<short>(events | persists), on_ready, self);
    event_add(self->reading, nullptr);
}

bool begin_talking(struct event_base *base, pattern_of how, talker *self)
{
    *self = {};
    self->base = base;
    self->how = how;
    REQUIRE(connection_make(&self->on, 30));
    auto fd = static_cast<evutil_socket_t>(self->on.near_end);
    self->reading = event_new(base, fd, EV_READ | EV_PERSIST, on_ready, self);
    self->writing = event_new(base, fd, EV_WRITE | EV_PERSIST, on_ready, self);
    return event_add(self->reading, nullptr) == 0;
}

// Every message of every connection is answered, once.
bool talk(struct event_base *base, pattern_of how)
{
    auto many = std::make_unique<talker[]>(connections);
    std::string got[connections];
    for (int i = 0; i < connections; ++i)
        REQUIRE(begin_talking(base, how, &many[i]));
    for (int round = 1; round <= rounds; ++round) {
        int active = round % 3 == 0 ? connections : 1 + round % 4; // some only, and all
        for (int i = 0; i < active; ++i)
            peer_send(&many[i].on, message, 1 + round % 2);
        for (int i = 0; i < active; ++i) {
            REQUIRE(peer_reads(base, &many[i].on, &got[i], many[i].on.sent));
            REQUIRE(got[i].size() == many[i].on.sent);
        }
    }
    some_turns(base);
    for (int i = 0; i < connections; ++i) {
        while (peer_receive(&many[i].on, &got[i]))
            continue;
        REQUIRE(got[i] == pattern(30, 0, many[i].on.sent));
        REQUIRE(many[i].wrong == 0);
        event_free(many[i].reading);
        event_free(many[i].writing);
        closesocket(many[i].on.near_end);
        closesocket(many[i].on.far_end);
    }
    return true;
}

bool plain_read_then_write(struct event_base *base)
{
    return talk(base, pattern_of::read_then_write);
}

bool plain_read_stays(struct event_base *base)
{
    return talk(base, pattern_of::read_stays);
}

bool plain_read_again(struct event_base *base)
{
    return talk(base, pattern_of::read_again);
}

bool plain_write_beside_read(struct event_base *base)
{
    return talk(base, pattern_of::write_beside);
}

bool plain_both_in_one(struct event_base *base)
{
    return talk(base, pattern_of::both_in_one);
}

bool plain_once(struct event_base *base)
{
    return talk(base, pattern_of::once);
}

void count_call(evutil_socket_t, short, void *argument)
{
    ++*static_cast<int *>(argument);
}

// A writable event that stays is told each turn, as long as the socket is writable, and no longer.
bool plain_write_is_told_while_it_can(struct event_base *base)
{
    connection on = {};
    int told = 0, reads = 0;
    REQUIRE(connection_make(&on, 31));
    auto fd = static_cast<evutil_socket_t>(on.near_end);
    struct event *writing = event_new(base, fd, EV_WRITE | EV_PERSIST, count_call, &told);
    struct event *reading = event_new(base, fd, EV_READ | EV_PERSIST, count_call, &reads);
    event_add(reading, nullptr);
    event_add(writing, nullptr);
    REQUIRE(run_until(base, [&] { return told >= 10; }));
    REQUIRE(fill_kernel(on.near_end));
    turn(base);
    told = 0;
    some_turns(base);
    REQUIRE(told == 0 && reads == 0);
    std::string got;
    REQUIRE(run_until(base, [&] {
        peer_receive(&on, &got);
        return told > 0;
    }));
    event_free(writing);
    event_free(reading);
    closesocket(on.near_end);
    closesocket(on.far_end);
    return true;
}

void note_what(evutil_socket_t, short what, void *argument)
{
    *static_cast<short *>(argument) |= what;
}

// Of a program that connects by itself. (Windows's select tells of it as an exception alone; Wine's says that it can be
// read, too.)
bool plain_refused_connect_makes_it_writable(struct event_base *base)
{
    for (int sockets : {1, 2}) { // polled, and looked at together
        SOCKET made[2];
        struct event *waiting[2];
        short told[2] = {};
        struct sockaddr_in closed = closed_address();
        for (int i = 0; i < sockets; ++i) {
            made[i] = socket(AF_INET, SOCK_STREAM, 0);
            auto fd = static_cast<evutil_socket_t>(made[i]);
            evutil_make_socket_nonblocking(fd);
            connect(made[i], reinterpret_cast<struct sockaddr *>(&closed), sizeof(closed));
            waiting[i] = event_new(base, fd, EV_READ | EV_WRITE | EV_PERSIST, note_what, &told[i]);
            event_add(waiting[i], nullptr);
        }
        REQUIRE(run_until(base, [&] { return told[0] != 0 && (sockets == 1 || told[1] != 0); }));
        some_turns(base);
        for (int i = 0; i < sockets; ++i) {
            REQUIRE(told[i] == EV_WRITE);
            int error = 0, length = sizeof(error);
            REQUIRE(getsockopt(made[i], SOL_SOCKET, SO_ERROR, reinterpret_cast<char *>(&error), &length) == 0);
            REQUIRE(error == WSAECONNREFUSED);
            event_free(waiting[i]);
            closesocket(made[i]);
        }
    }
    return true;
}

bool urgent_has_come(const connection *on)
{
    fd_set urgent;
    FD_ZERO(&urgent);
    FD_SET(on->near_end, &urgent);
    struct timeval at_once = {0, 0};
    return select(0, nullptr, nullptr, &urgent, &at_once) == 1;
}

// libevent's select asks for exceptions, for connects that fail, and takes urgent data for one.
bool s18_urgent_data_does_not_make_it_writable(struct event_base *base)
{
    for (int how : {1, 2, -1, -2}) { // polled, and looked at together; beside a poll for data, when it has come
        int sockets = abs(how);
        connection on[2] = {};
        struct event *writing[2], *reading[2];
        int told = 0, reads = 0;
        for (int i = 0; i < sockets; ++i) {
            REQUIRE(connection_make(&on[i], 32 + i));
            auto fd = static_cast<evutil_socket_t>(on[i].near_end);
            writing[i] = event_new(base, fd, EV_WRITE | EV_PERSIST, count_call, &told);
            reading[i] = event_new(base, fd, EV_READ | EV_PERSIST, count_call, &reads);
            event_add(how > 0 ? writing[i] : reading[i], nullptr);
            REQUIRE(fill_kernel(on[i].near_end));
        }
        some_turns(base);
        told = 0;
        for (int i = 0; i < sockets; ++i) {
            REQUIRE(send(on[i].far_end, "u", 1, MSG_OOB) == 1);
            REQUIRE(run_until(base, [&] { return urgent_has_come(&on[i]); }));
            event_add(writing[i], nullptr);
        }
        some_turns(base);
        REQUIRE(told == 0);
        for (int i = 0; i < sockets; ++i) {
            event_free(writing[i]);
            event_free(reading[i]);
            closesocket(on[i].near_end);
            closesocket(on[i].far_end);
        }
    }
    return true;
}

bool is_ready_now(SOCKET one, bool to_write)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(one, &set);
    struct timeval at_once = {0, 0};
    return select(0, to_write ? nullptr : &set, to_write ? &set : nullptr, nullptr, &at_once) == 1;
}

bool comes_soon(SOCKET one)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(one, &set);
    struct timeval deadline = {20, 0};
    return select(0, &set, nullptr, nullptr, &deadline) == 1;
}

struct waiting_pair {
    connection on[2];
    struct event *waiting[2];
    int told;
};

bool begin_to_wait(struct event_base *base, waiting_pair *of, int sockets, short what)
{
    for (int i = 0; i < sockets; ++i) {
        REQUIRE(connection_make(&of->on[i], 40 + i));
        if (what == EV_WRITE)
            REQUIRE(fill_kernel(of->on[i].near_end));
        auto fd = static_cast<evutil_socket_t>(of->on[i].near_end);
        of->waiting[i] = event_new(base, fd, static_cast<short>(what | EV_PERSIST), count_call, &of->told);
        event_add(of->waiting[i], nullptr);
    }
    some_turns(base);
    return true;
}

void end_to_wait(waiting_pair *of, int sockets)
{
    for (int i = 0; i < sockets; ++i) {
        event_free(of->waiting[i]);
        closesocket(of->on[i].near_end);
        closesocket(of->on[i].far_end);
    }
}

// What the program has taken itself, in some other callback, nobody is told of: a socket that blocks would hold up the loop.
bool plain_read_by_others_is_not_told(struct event_base *base)
{
    for (int sockets : {1, 2}) {
        waiting_pair pair = {};
        REQUIRE(begin_to_wait(base, &pair, sockets, EV_READ));
        for (int i = 0; i < sockets; ++i) {
            char taken[10];
            peer_send(&pair.on[i], sizeof(taken), 1);
            for (int have = 0, bytes; have < static_cast<int>(sizeof(taken)); have += bytes) {
                REQUIRE(comes_soon(pair.on[i].near_end));
                bytes = recv(pair.on[i].near_end, taken, sizeof(taken), 0);
                REQUIRE(bytes > 0);
            }
        }
        some_turns(base);
        REQUIRE(pair.told == 0);
        for (int i = 0; i < sockets; ++i)
            peer_send(&pair.on[i], 10, 1);
        REQUIRE(run_until(base, [&] { return pair.told >= sockets; }));
        end_to_wait(&pair, sockets);
    }
    return true;
}

// Nor of room that it has filled.
bool plain_room_filled_by_others_is_not_told(struct event_base *base)
{
    for (int sockets : {1, 2}) {
        waiting_pair pair = {};
        std::string got;
        REQUIRE(begin_to_wait(base, &pair, sockets, EV_WRITE));
        pair.told = 0;
        for (int i = 0; i < sockets; ++i) {
            for (int tries = 0; !is_ready_now(pair.on[i].near_end, true); ++tries) {
                REQUIRE(tries < 100000);
                peer_receive(&pair.on[i], &got);
            }
            REQUIRE(fill_kernel(pair.on[i].near_end));
        }
        some_turns(base);
        REQUIRE(pair.told == 0);
        REQUIRE(run_until(base, [&] {
            for (int i = 0; i < sockets; ++i)
                peer_receive(&pair.on[i], &got);
            return pair.told >= sockets;
        }));
        end_to_wait(&pair, sockets);
    }
    return true;
}

} // namespace

const guarantee plain_guarantees[] = {
    {"plain_read_then_write", plain_read_then_write},
    {"plain_read_stays", plain_read_stays},
    {"plain_read_again", plain_read_again},
    {"plain_write_beside_read", plain_write_beside_read},
    {"plain_both_in_one", plain_both_in_one},
    {"plain_once", plain_once},
    {"plain_write_is_told_while_it_can", plain_write_is_told_while_it_can},
    {"plain_refused_connect_makes_it_writable", plain_refused_connect_makes_it_writable},
    {"plain_read_by_others_is_not_told", plain_read_by_others_is_not_told},
    {"plain_room_filled_by_others_is_not_told", plain_room_filled_by_others_is_not_told},
    {"s18_urgent_data_does_not_make_it_writable", s18_urgent_data_does_not_make_it_writable},
    {nullptr, nullptr},
};

} // namespace parity
