// Small programs write and leave the loop: what select has sent by then has been sent.
#include "guarantees.h"

namespace parity {

namespace {

enum class leaving { writes_first, leaves_first, by_break };

struct leaver {
    struct event_base *base;
    struct bufferevent *to;
    size_t bytes;
    leaving how;
    int written; // write callbacks
};

void write_and_leave(leaver *self)
{
    std::string farewell = pattern(3, 0, self->bytes);
    if (self->how == leaving::leaves_first)
        event_base_loopexit(self->base, nullptr);
    bufferevent_write(self->to, farewell.data(), farewell.size());
    if (self->how == leaving::writes_first)
        event_base_loopexit(self->base, nullptr);
    if (self->how == leaving::by_break)
        event_base_loopbreak(self->base);
}

void on_request(struct bufferevent *bev, void *argument)
{
    evbuffer_drain(bufferevent_get_input(bev), evbuffer_get_length(bufferevent_get_input(bev)));
    write_and_leave(static_cast<leaver *>(argument));
}

void on_written(struct bufferevent *, void *argument)
{
    ++static_cast<leaver *>(argument)->written;
}

void on_connected(struct bufferevent *, short what, void *argument)
{
    if ((what & BEV_EVENT_CONNECTED) != 0)
        write_and_leave(static_cast<leaver *>(argument));
}

// A request comes on `asked`, and its callback does what `of` says. Returns as the loop does.
int run_with_request(record *asked, leaver *of)
{
    bufferevent_setcb(asked->bev, on_request, on_written, nullptr, of);
    bufferevent_enable(asked->bev, EV_READ | EV_WRITE);
    peer_send(&asked->on, 3, 1);
    return event_base_dispatch(of->base);
}

bool peer_has(connection *on, size_t size)
{
    struct event_base *other = new_base();
    std::string got;
    REQUIRE(peer_reads(other, on, &got, size));
    REQUIRE(got == pattern(3, 0, size));
    event_base_free(other);
    return true;
}

// A server for one request: it writes its reply, asks the loop to end after this pass, and frees everything.
bool exit_after_write_has_sent_it(struct event_base *)
{
    for (leaving how : {leaving::writes_first, leaving::leaves_first}) {
        for (size_t size : {1, 7, 4096, 16384}) { // what libevent writes at once
            struct event_base *base = new_base();
            record one;
            REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
            leaver of = {base, one.bev, size, how, 0};
            REQUIRE(run_with_request(&one, &of) == 0);
            REQUIRE(of.written > 0);
            bufferevent_free(one.bev);
            one.bev = nullptr;
            event_base_free(base);
            REQUIRE(peer_has(&one.on, size));
            close_pair(&one);
        }
    }
    return true;
}

// The same with a loop that goes on elsewhere: nothing is freed, and no turn comes.
bool exit_after_write_needs_no_free(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    leaver of = {base, one.bev, 300, leaving::writes_first, 0};
    run_with_request(&one, &of);
    REQUIRE(evbuffer_get_length(bufferevent_get_output(one.bev)) == 0);
    REQUIRE(peer_has(&one.on, 300));
    close_pair(&one);
    return true;
}

// A proxy: what comes on one connection goes out on another.
bool exit_after_write_to_another(struct event_base *base)
{
    record from, to;
    REQUIRE(open_pair(base, &from, BEV_OPT_CLOSE_ON_FREE) && open_pair(base, &to, BEV_OPT_CLOSE_ON_FREE));
    leaver of = {base, to.bev, 500, leaving::writes_first, 0};
    bufferevent_enable(to.bev, EV_READ | EV_WRITE);
    run_with_request(&from, &of);
    REQUIRE(peer_has(&to.on, 500));
    close_pair(&from);
    close_pair(&to);
    return true;
}

// The loop has told of both directions in turn, and the second request finds the reply to the first still to be sent.
bool exit_after_writes_in_turn(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    peer_send(&one.on, 3, 1);
    leaver of = {base, one.bev, 200, leaving::writes_first, 0};
    std::string before = pattern(3, 0, 100), all;
    bufferevent_setcb(one.bev, on_request, nullptr, nullptr, &of);
    bufferevent_write(one.bev, before.data(), before.size());
    bufferevent_enable(one.bev, EV_READ | EV_WRITE);
    event_base_dispatch(base);
    struct event_base *other = new_base();
    REQUIRE(peer_reads(other, &one.on, &all, 300));
    REQUIRE(all == before + pattern(3, 0, 200));
    event_base_free(other);
    close_pair(&one);
    return true;
}

// However the loop is left: libevent goes on to write when it has told of the connection.
bool exit_after_write_when_connected(struct event_base *)
{
    for (leaving how : {leaving::writes_first, leaving::leaves_first, leaving::by_break}) {
        struct event_base *base = new_base();
        record one;
        REQUIRE(open_unconnected(base, &one, BEV_OPT_CLOSE_ON_FREE));
        leaver of = {base, one.bev, 700, how, 0};
        bufferevent_setcb(one.bev, nullptr, nullptr, on_connected, &of);
        bufferevent_enable(one.bev, EV_READ | EV_WRITE);
        struct sockaddr_in to = open_address();
        REQUIRE(bufferevent_socket_connect(one.bev, reinterpret_cast<struct sockaddr *>(&to), sizeof(to)) == 0);
        REQUIRE(connection_accept(&one.on));
        event_base_dispatch(base);
        REQUIRE(peer_has(&one.on, 700));
        close_pair(&one);
        event_base_free(base);
    }
    return true;
}

enum class taking { keeps_it, hands_it_on, closes_it };

struct taker {
    taking how;
    evutil_socket_t fd;
    struct bufferevent *next;
};

void take_and_leave(struct bufferevent *bev, short what, void *argument)
{
    auto *self = static_cast<taker *>(argument);
    if ((what & BEV_EVENT_CONNECTED) == 0)
        return;
    self->fd = bufferevent_getfd(bev);
    bufferevent_setfd(bev, -1);
    if (self->how == taking::hands_it_on) {
        self->next = bufferevent_socket_new(bufferevent_get_base(bev), self->fd, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_write(self->next, " there", 6);
        bufferevent_enable(self->next, EV_WRITE);
    }
    if (self->how == taking::closes_it)
        evutil_closesocket(self->fd);
    bufferevent_free(bev);
}

// Its program only wanted to be connected, and has the descriptor from then on. libevent goes on to write to it what stood
// in the output.
bool one_taken_when_connected(struct event_base *base, int options, taking how)
{
    record one;
    taker of = {how, -1, nullptr};
    std::string got;
    struct sockaddr_in to = open_address();
    REQUIRE(open_unconnected(base, &one, options));
    bufferevent_setcb(one.bev, nullptr, nullptr, take_and_leave, &of);
    bufferevent_write(one.bev, "hello", 5);
    bufferevent_enable(one.bev, EV_READ | EV_WRITE);
    REQUIRE(bufferevent_socket_connect(one.bev, reinterpret_cast<struct sockaddr *>(&to), sizeof(to)) == 0);
    one.on.near_end = static_cast<SOCKET>(bufferevent_getfd(one.bev));
    REQUIRE(connection_accept(&one.on));
    REQUIRE(run_until(base, [&] { return of.fd >= 0; }));
    one.bev = of.next;
    one.on.near_closed = how != taking::keeps_it;
    std::string all = how == taking::keeps_it ? "hello" : how == taking::hands_it_on ? "hello there" : "";
    if (how == taking::closes_it)
        REQUIRE(peer_reads_to_the_end(base, &one.on, &got));
    else
        REQUIRE(peer_reads(base, &one.on, &got, all.size()) && !one.on.far_ended);
    REQUIRE(got == all);
    close_pair(&one);
    return true;
}

bool exit_with_the_descriptor_when_connected(struct event_base *base)
{
    for (int options : {0, static_cast<int>(BEV_OPT_CLOSE_ON_FREE)})
        for (taking how : {taking::keeps_it, taking::hands_it_on, taking::closes_it})
            REQUIRE(one_taken_when_connected(base, options, how));
    return true;
}

// Nothing goes out after event_base_loopbreak: what a callback has just written can be taken back.
bool exit_by_break_leaves_it_in_the_output(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    leaver of = {base, one.bev, 300, leaving::by_break, 0};
    run_with_request(&one, &of);
    REQUIRE(event_base_got_break(base));
    REQUIRE(evbuffer_get_length(bufferevent_get_output(one.bev)) == 300);
    close_pair(&one);
    return true;
}

void free_when_idle(struct bufferevent *bev, short, void *exits)
{
    if (exits != nullptr)
        event_base_loopexit(bufferevent_get_base(bev), nullptr);
    bufferevent_free(bev);
}

// Freed by the last callback of a loop, with nothing to read: its peer sees the end, though no turn comes after it.
bool exit_by_free_ends_the_connection(struct event_base *)
{
    bool exits = true;
    for (bool *argument : {static_cast<bool *>(nullptr), &exits}) {
        struct event_base *base = new_base(), *other = new_base();
        record one;
        REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
        struct timeval soon = {0, 10 * 1000};
        bufferevent_setcb(one.bev, nullptr, nullptr, free_when_idle, argument);
        bufferevent_set_timeouts(one.bev, &soon, nullptr);
        bufferevent_enable(one.bev, EV_READ);
        REQUIRE(event_base_dispatch(base) == (argument != nullptr ? 0 : 1));
        one.bev = nullptr;
        std::string got;
        REQUIRE(peer_reads_to_the_end(other, &one.on, &got));
        REQUIRE(got.empty());
        close_pair(&one);
        event_base_free(other);
        event_base_free(base);
    }
    return true;
}

} // namespace

const guarantee exiting_guarantees[] = {
    {"exit_after_write_has_sent_it", exit_after_write_has_sent_it},
    {"exit_after_write_needs_no_free", exit_after_write_needs_no_free},
    {"exit_after_write_to_another", exit_after_write_to_another},
    {"exit_after_writes_in_turn", exit_after_writes_in_turn},
    {"exit_after_write_when_connected", exit_after_write_when_connected},
    {"exit_with_the_descriptor_when_connected", exit_with_the_descriptor_when_connected},
    {"exit_by_break_leaves_it_in_the_output", exit_by_break_leaves_it_in_the_output},
    {"exit_by_free_ends_the_connection", exit_by_free_ends_the_connection},
    {nullptr, nullptr},
};

} // namespace parity
