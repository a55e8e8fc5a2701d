// A descriptor is closed under its bufferevent or event, and its number comes back as another socket, as it does for
// programs that reconnect. Nothing of the earlier life touches the later one.
#include "guarantees.h"

namespace parity {

namespace {

constexpr size_t filling = 1024 * 1024;

bool connect_as(SOCKET number, connection *into)
{
    static int id = 100;
    *into = {};
    bool made = connection_make_as(into, ++id, number);
    if (!made)
        puts("the number has not come back");
    return made;
}

enum class leaves { nothing, a_receive, a_send };
enum class freed { before_the_next_is_made, before_it_works, while_it_works, at_the_end, without_descriptor };

struct reuse {
    leaves what;
    bool by_winsock;
    bool disabled;
    freed when;
    int next_options;
};

bool begin_life(struct event_base *base, record *one, const reuse &how)
{
    REQUIRE(open_pair(base, one, 0));
    bufferevent_enable(one->bev, EV_READ | EV_WRITE);
    peer_send(&one->on, 5, 1);
    REQUIRE(run_until(base, [&] { return one->data.size() == 5; }));
    if (how.what == leaves::a_send)
        REQUIRE(fill_connection(base, one, pattern(9, 0, filling)));
    if (how.what == leaves::a_receive)
        some_turns(base);
    if (how.disabled)
        bufferevent_disable(one->bev, EV_READ | EV_WRITE);
    return true;
}

bool talk(struct event_base *base, record *next, size_t round)
{
    std::string got;
    peer_send(&next->on, 1000, 2);
    REQUIRE(run_until(base, [&] { return next->data.size() == round * 1000; }));
    bufferevent_write(next->bev, "back again", 10);
    REQUIRE(peer_reads(base, &next->on, &got, 10));
    REQUIRE(got == "back again");
    return true;
}

bool live_again(struct event_base *base, const reuse &how)
{
    record old, next = {};
    REQUIRE(begin_life(base, &old, how));
    SOCKET number = old.on.near_end;
    if (how.when == freed::without_descriptor && how.disabled)
        bufferevent_setfd(old.bev, -1);
    if (how.by_winsock)
        closesocket(number);
    else
        evutil_closesocket(static_cast<evutil_socket_t>(number));
    old.on.near_end = INVALID_SOCKET;
    closesocket(old.on.far_end);
    old.on.far_end = INVALID_SOCKET;
    REQUIRE(connect_as(number, &next.on));
    if (how.when == freed::before_the_next_is_made)
        close_pair(&old);
    next.bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(number), how.next_options);
    REQUIRE(next.bev != nullptr);
    next.on.near_closed = (how.next_options & BEV_OPT_CLOSE_ON_FREE) != 0;
    note_callbacks(&next);
    bufferevent_enable(next.bev, EV_READ | EV_WRITE);
    if (how.when == freed::before_it_works)
        close_pair(&old);
    for (size_t round = 1; round <= 4; ++round) {
        REQUIRE(talk(base, &next, round));
        if (round == 2 && how.when == freed::while_it_works)
            close_pair(&old);
    }
    REQUIRE(next.data == pattern(next.on.id, 0, 4000));
    close_pair(&old);
    REQUIRE(next.errors == 0 && next.ended == 0);
    REQUIRE(talk(base, &next, 5));
    peer_finish(&next.on);
    REQUIRE(run_until(base, [&] { return next.ended == 1; }));
    close_pair(&next);
    return true;
}

bool reuse_in_all_ways(bool disabled, freed when)
{
    for (leaves what : {leaves::nothing, leaves::a_receive, leaves::a_send}) {
        // On select the output of one that goes on would leave by the new socket.
        if (what == leaves::a_send && !disabled && when == freed::at_the_end)
            continue;
        for (bool by_winsock : {false, true}) {
            for (int options : {0, static_cast<int>(BEV_OPT_CLOSE_ON_FREE)}) {
                long blocks = live_blocks();
                struct event_base *base = new_base();
                if (!live_again(base, {what, by_winsock, disabled, when, options})) {
                    printf("left %d, by winsock %d, options 0x%x\n", static_cast<int>(what), by_winsock,
                           static_cast<unsigned>(options));
                    return false;
                }
                event_base_free(base);
                REQUIRE(live_blocks() == blocks);
            }
        }
    }
    return true;
}

bool number_reused_after_disable_freed_at_the_end(struct event_base *)
{
    return reuse_in_all_ways(true, freed::at_the_end);
}

bool number_reused_after_disable_freed_meanwhile(struct event_base *)
{
    return reuse_in_all_ways(true, freed::while_it_works);
}

bool number_reused_after_disable_without_descriptor(struct event_base *)
{
    return reuse_in_all_ways(true, freed::without_descriptor);
}

bool number_reused_while_enabled_freed_before(struct event_base *)
{
    return reuse_in_all_ways(false, freed::before_the_next_is_made);
}

bool number_reused_while_enabled_freed_first(struct event_base *)
{
    return reuse_in_all_ways(false, freed::before_it_works);
}

bool number_reused_while_enabled(struct event_base *)
{
    return reuse_in_all_ways(false, freed::at_the_end);
}

void on_readable(evutil_socket_t fd, short, void *argument)
{
    char data[100];
    int bytes = recv(static_cast<SOCKET>(fd), data, sizeof(data), 0);
    if (bytes > 0)
        *static_cast<int *>(argument) += bytes;
}

// The event of the earlier life is deleted when that of the later one has long been added.
bool number_reused_under_plain_events(struct event_base *base)
{
    for (bool turns_between : {false, true}) {
        connection first = {}, second = {};
        int got_first = 0, got_second = 0;
        REQUIRE(connection_make(&first, 70));
        auto fd = static_cast<evutil_socket_t>(first.near_end);
        struct event *one = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, &got_first);
        event_add(one, nullptr);
        peer_send(&first, 10, 1);
        REQUIRE(run_until(base, [&] { return got_first == 10; }));
        event_del(one);
        event_add(one, nullptr);
        if (turns_between)
            some_turns(base);
        closesocket(first.near_end);
        closesocket(first.far_end);
        REQUIRE(connect_as(first.near_end, &second));
        struct event *next = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, &got_second);
        event_add(next, nullptr);
        if (turns_between)
            some_turns(base);
        event_del(one);
        for (int round = 1; round <= 5; ++round) {
            peer_send(&second, 10, 1);
            REQUIRE(run_until(base, [&] { return got_second == 10 * round; }));
        }
        event_free(one);
        event_free(next);
        closesocket(second.near_end);
        closesocket(second.far_end);
    }
    return true;
}

void count_reads(evutil_socket_t fd, short, void *argument)
{
    char data[100];
    recv(static_cast<SOCKET>(fd), data, sizeof(data), 0);
    ++*static_cast<int *>(argument);
}

// What was to be read of a socket that is closed under its event is not told of the next one with its number.
bool number_reused_tells_nothing_of_the_last(struct event_base *base)
{
    for (bool turns_between : {false, true}) {
        connection first = {}, second = {};
        int told = 0;
        REQUIRE(connection_make(&first, 71));
        auto fd = static_cast<evutil_socket_t>(first.near_end);
        struct event *one = event_new(base, fd, EV_READ | EV_PERSIST, count_reads, &told);
        event_add(one, nullptr);
        if (turns_between)
            some_turns(base);
        peer_send(&first, 10, 1);
        evutil_closesocket(fd);
        closesocket(first.far_end);
        REQUIRE(connect_as(first.near_end, &second));
        some_turns(base);
        REQUIRE(told == 0);
        peer_send(&second, 10, 1);
        REQUIRE(run_until(base, [&] { return told == 1; }));
        event_free(one);
        closesocket(second.near_end);
        closesocket(second.far_end);
    }
    return true;
}

// Of one that is told by libevent's counts alone, since the earlier life's event goes when the later one's has come.
bool number_reused_by_who_only_reads(struct event_base *base)
{
    for (bool by_event : {false, true}) {
        record old = {}, next = {};
        int told = 0;
        REQUIRE(open_pair(base, &old, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(old.bev, EV_READ);
        some_turns(base);
        SOCKET number = old.on.near_end;
        evutil_closesocket(static_cast<evutil_socket_t>(number));
        closesocket(old.on.far_end);
        REQUIRE(connect_as(number, &next.on));
        auto fd = static_cast<evutil_socket_t>(number);
        next.bev = bufferevent_socket_new(base, by_event ? -1 : fd, 0);
        note_callbacks(&next);
        bufferevent_enable(next.bev, EV_READ);
        struct event *reading = event_new(base, fd, EV_READ | EV_PERSIST, count_reads, &told);
        if (by_event)
            event_add(reading, nullptr);
        bufferevent_setfd(old.bev, -1);
        bufferevent_free(old.bev);
        old.bev = nullptr;
        some_turns(base);
        peer_send(&next.on, 10, 1);
        REQUIRE(run_until(base, [&] { return by_event ? told >= 1 : next.data.size() == 10; }));
        event_free(reading);
        close_pair(&next);
    }
    return true;
}

} // namespace

const guarantee number_guarantees[] = {
    {"number_reused_after_disable_freed_at_the_end", number_reused_after_disable_freed_at_the_end},
    {"number_reused_after_disable_freed_meanwhile", number_reused_after_disable_freed_meanwhile},
    {"number_reused_after_disable_without_descriptor", number_reused_after_disable_without_descriptor},
    {"number_reused_while_enabled_freed_before", number_reused_while_enabled_freed_before},
    {"number_reused_while_enabled_freed_first", number_reused_while_enabled_freed_first},
    {"number_reused_while_enabled", number_reused_while_enabled},
    {"number_reused_by_who_only_reads", number_reused_by_who_only_reads},
    {"number_reused_under_plain_events", number_reused_under_plain_events},
    {"number_reused_tells_nothing_of_the_last", number_reused_tells_nothing_of_the_last},
    {nullptr, nullptr},
};

} // namespace parity
