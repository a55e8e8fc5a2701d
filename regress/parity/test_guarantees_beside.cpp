// A program's own event, and its own recv() or send(), beside a bufferevent on the same descriptor: each moves one
// direction, and neither disturbs the other.
#include "guarantees.h"

namespace parity {

namespace {

constexpr int option_sets[] = {0, BEV_OPT_CLOSE_ON_FREE};

struct own_reader {
    SOCKET socket;
    struct event *waiting;
    std::string got;
    int in_vain; // calls in which there was nothing
};

void receive_by_itself(evutil_socket_t, short, void *argument)
{
    auto *self = static_cast<own_reader *>(argument);
    char room[4096];
    int bytes = recv(self->socket, room, sizeof(room), 0);
    if (bytes > 0)
        self->got.append(room, static_cast<size_t>(bytes));
    else
        ++self->in_vain;
}

void begin_to_read(struct event_base *base, own_reader *self, const record *beside)
{
    self->socket = beside->on.near_end;
    self->waiting =
        event_new(base, static_cast<evutil_socket_t>(self->socket), EV_READ | EV_PERSIST, receive_by_itself, self);
    event_add(self->waiting, nullptr);
}

// Message by message, each with turns in which it could be told for nothing.
bool reads_all(struct event_base *base, own_reader *self, record *beside)
{
    constexpr int messages = 5;
    for (int i = 0; i < messages; ++i) {
        size_t length = self->got.size() + 500;
        peer_send(&beside->on, 500, 1);
        REQUIRE(run_until(base, [&] { return self->got.size() == length; }));
        some_turns(base);
    }
    REQUIRE(self->got == pattern(beside->on.id, beside->on.sent - self->got.size(), self->got.size()));
    REQUIRE(self->in_vain <= messages);
    return true;
}

// The bufferevent has sent before, and so expects an answer.
bool beside_own_reads_of_a_bufferevent_that_writes(struct event_base *base)
{
    for (int options : option_sets) {
        record one;
        own_reader own = {};
        std::string heard;
        REQUIRE(open_pair(base, &one, options));
        bufferevent_write(one.bev, "first", 5);
        REQUIRE(peer_reads(base, &one.on, &heard, 5));
        begin_to_read(base, &own, &one);
        REQUIRE(reads_all(base, &own, &one));
        bufferevent_write(one.bev, "second", 6);
        REQUIRE(peer_reads(base, &one.on, &heard, 11) && heard == "firstsecond");
        REQUIRE(reads_all(base, &own, &one));
        event_free(own.waiting);

        // What comes from now on is the bufferevent's, and so is the end.
        size_t so_far = one.on.sent;
        bufferevent_enable(one.bev, EV_READ);
        peer_send(&one.on, 500, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == 500; }));
        REQUIRE(one.data == pattern(one.on.id, so_far, 500));
        peer_finish(&one.on);
        REQUIRE(run_until(base, [&] { return one.ended == 1; }));
        close_pair(&one);
    }
    return true;
}

// What is in flight goes on, and what is written after it comes after it.
bool beside_own_reads_with_a_send_in_flight(struct event_base *base)
{
    for (int options : option_sets) {
        record one;
        own_reader own = {};
        std::string heard, written = pattern(77, 0, 1024 * 1024);
        REQUIRE(open_pair(base, &one, options));
        REQUIRE(fill_connection(base, &one, written.substr(0, 512 * 1024)));
        begin_to_read(base, &own, &one);
        some_turns(base);
        bufferevent_write(one.bev, written.data() + 512 * 1024, 512 * 1024);
        REQUIRE(reads_all(base, &own, &one));
        REQUIRE(peer_reads(base, &one.on, &heard, written.size()));
        REQUIRE(heard == written);
        event_free(own.waiting);
        close_pair(&one);
    }
    return true;
}

// What the bufferevent had received ahead of need, and has not read, is its own still.
bool beside_own_reads_after_those_of_the_bufferevent(struct event_base *base)
{
    for (int options : option_sets) {
        record one;
        own_reader own = {};
        REQUIRE(open_pair(base, &one, options));
        bufferevent_enable(one.bev, EV_READ);
        peer_send(&one.on, 500, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == 500; }));
        some_turns(base);
        bufferevent_disable(one.bev, EV_READ);
        begin_to_read(base, &own, &one);
        some_turns(base);
        REQUIRE(reads_all(base, &own, &one));
        event_free(own.waiting);
        close_pair(&one);
    }
    return true;
}

void count_call(evutil_socket_t, short, void *argument)
{
    ++*static_cast<int *>(argument);
}

// The bufferevent reads, and the program sends.
bool beside_own_writes_wait_for_the_peer(struct event_base *base)
{
    for (int options : option_sets) {
        record one;
        int told = 0;
        REQUIRE(open_pair(base, &one, options));
        bufferevent_enable(one.bev, EV_READ);
        peer_send(&one.on, 500, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == 500; }));
        REQUIRE(fill_kernel(one.on.near_end));
        auto fd = static_cast<evutil_socket_t>(one.on.near_end);
        struct event *writing = event_new(base, fd, EV_WRITE | EV_PERSIST, count_call, &told);
        event_add(writing, nullptr);
        turn(base);
        told = 0;
        some_turns(base);
        REQUIRE(told == 0);
        peer_send(&one.on, 500, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == 1000; }));
        REQUIRE(told == 0 && one.data == pattern(one.on.id, 0, 1000));
        std::string heard;
        REQUIRE(run_until(base, [&] {
            peer_receive(&one.on, &heard);
            return told > 0;
        }));
        event_free(writing);
        close_pair(&one);
    }
    return true;
}

// An event that is there while the bufferevent connects.
bool beside_own_event_amid_a_connect(struct event_base *base)
{
    for (int options : option_sets) {
        record one;
        own_reader own = {};
        std::string heard;
        REQUIRE(open_unconnected(base, &one, options));
        struct sockaddr_in address = open_address();
        REQUIRE(bufferevent_socket_connect(one.bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) ==
                0);
        one.on.near_end = static_cast<SOCKET>(bufferevent_getfd(one.bev));
        begin_to_read(base, &own, &one);
        REQUIRE(connection_accept(&one.on));
        REQUIRE(run_until(base, [&] { return one.connected == 1; }));
        bufferevent_write(one.bev, "first", 5);
        REQUIRE(peer_reads(base, &one.on, &heard, 5));
        REQUIRE(reads_all(base, &own, &one));
        REQUIRE(one.errors == 0 && one.connected == 1);
        event_free(own.waiting);
        close_pair(&one);
    }
    return true;
}

} // namespace

const guarantee beside_guarantees[] = {
    {"beside_own_reads_of_a_bufferevent_that_writes", beside_own_reads_of_a_bufferevent_that_writes},
    {"beside_own_reads_with_a_send_in_flight", beside_own_reads_with_a_send_in_flight},
    {"beside_own_reads_after_those_of_the_bufferevent", beside_own_reads_after_those_of_the_bufferevent},
    {"beside_own_writes_wait_for_the_peer", beside_own_writes_wait_for_the_peer},
    {"beside_own_event_amid_a_connect", beside_own_event_amid_a_connect},
    {nullptr, nullptr},
};

} // namespace parity
