// What the guarantees of functions that libevent has none of share. Only our library is asked: neither select nor
// libevent's own IOCP is there to compare with.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_OWN_PARTS_H
#define LIBEVENT_IOCP_REGRESS_PARITY_OWN_PARTS_H

#include "guarantees.h"

#include "../real/accounting.h"

#include <event2/iocp.h>

namespace parity {

extern const guarantee handle_guarantees[];
extern const guarantee pipe_guarantees[];
extern const guarantee wait_guarantees[];
extern const guarantee process_guarantees[];
extern const guarantee directory_guarantees[];
extern const guarantee embedding_guarantees[];

struct event_base *base_on_select();
bool handle_is_open(HANDLE handle);

// For what other processes or Windows' threads do: the loop runs until it has happened, or the deadline has come.
template <class Condition> bool happens(struct event_base *base, Condition condition)
{
    for (ULONGLONG end = GetTickCount64() + deadline_ms; !condition() && GetTickCount64() < end;)
        turn(base);
    return condition();
}

// 0, or the socket error of a call that says that it has failed.
template <class Call> int error_of(Call succeeds)
{
    WSASetLastError(0);
    return succeeds() ? 0 : EVUTIL_SOCKET_ERROR();
}

// `succeeds` takes the base.
template <class Call> bool refused_off_the_port(Call succeeds)
{
    struct event_base *plain = base_on_select();
    REQUIRE(plain != nullptr);
    REQUIRE(error_of([&] { return succeeds(plain); }) == WSAEOPNOTSUPP);
    REQUIRE(error_of([&] { return succeeds(static_cast<struct event_base *>(nullptr)); }) == WSAEOPNOTSUPP);
    event_base_free(plain);
    return true;
}

// No handle of the process is left when these rounds are over.
template <class Round> bool leaves_no_handle(struct event_base *base, Round round)
{
    constexpr int first_rounds = 2, further_rounds = 4;
    for (int i = 0; i < first_rounds; ++i) {
        REQUIRE(round(base));
        some_turns(base);
    }
    unsigned long handles = accounting::open_handles();
    for (int i = 0; i < further_rounds; ++i)
        REQUIRE(round(base));
    REQUIRE(happens(base, [&] { return accounting::open_handles() <= handles; }));
    return true;
}

// Nor any memory of libevent's when the base has been freed. What is made once and kept is made in the first life.
template <class Round> bool leaves_nothing(Round round)
{
    unsigned long handles = 0;
    long blocks = 0;
    for (int life = 0; life < 2; ++life) {
        struct event_base *base = new_base();
        REQUIRE(base != nullptr && leaves_no_handle(base, round));
        event_base_free(base);
        REQUIRE(life == 0 || (accounting::open_handles() <= handles && live_blocks() <= blocks));
        handles = accounting::open_handles();
        blocks = live_blocks();
    }
    return true;
}

// Both block: they are for little, and for what is there already.
bool write_by_hand(HANDLE pipe, const std::string &bytes);
bool read_by_hand(struct event_base *base, HANDLE pipe, std::string *got, size_t length);

} // namespace parity

#endif
