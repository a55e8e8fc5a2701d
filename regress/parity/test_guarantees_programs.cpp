// Programs that know Windows: sockets that block, overlapped calls of their own, APCs.
#include "guarantees.h"

#include <stdlib.h>
#include <string.h>

namespace parity {

namespace {

constexpr int option_sets[] = {0, BEV_OPT_CLOSE_ON_FREE};
constexpr size_t small_sizes[] = {1, 100, 4096, 30000};

void make_blocking(SOCKET socket)
{
    u_long off = 0;
    ioctlsocket(socket, FIONBIO, &off);
}

// A socket that blocks is read and written once for each time that it is ready: the loop never stands still in it.
bool blocking_socket_never_stops_the_loop(struct event_base *base)
{
    for (int options : option_sets) {
        for (size_t size : small_sizes) {
            record one;
            REQUIRE(open_pair(base, &one, options));
            make_blocking(one.on.near_end);
            bufferevent_enable(one.bev, EV_READ | EV_WRITE);
            std::string got;
            for (size_t round = 1; round <= 3; ++round) {
                some_turns(base); // hangs in it, if it blocks
                peer_send(&one.on, static_cast<int>(size), 1);
                REQUIRE(run_until(base, [&] { return one.data.size() == round * size; }));
                bufferevent_write(one.bev, "answer", 6);
                REQUIRE(peer_reads(base, &one.on, &got, round * 6));
            }
            peer_finish(&one.on);
            REQUIRE(run_until(base, [&] { return one.ended == 1; }));
            close_pair(&one);
        }
    }
    return true;
}

// The program's own operation on a descriptor that a bufferevent has had: the base's port must not mind its packet.
bool foreign_overlapped_after_free(struct event_base *base)
{
    constexpr size_t beside = 4096; // whoever takes the OVERLAPPED for one of his own meets this
    for (bool frees : {true, false}) {
        record one;
        REQUIRE(open_pair(base, &one, 0));
        bufferevent_enable(one.bev, EV_READ);
        peer_send(&one.on, 5, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == 5; }));
        some_turns(base);
        if (frees) {
            bufferevent_free(one.bev);
            one.bev = nullptr;
        } else {
            bufferevent_setfd(one.bev, -1);
        }
        some_turns(base);
        auto *own = static_cast<WSAOVERLAPPED *>(malloc(beside));
        memset(own, 0x41, beside);
        *own = {};
        own->hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
        char room[100];
        WSABUF into = {sizeof(room), room};
        DWORD bytes = 0, flags = 0;
        int result = WSARecv(one.on.near_end, &into, 1, &bytes, &flags, own, nullptr);
        REQUIRE(result == 0 || WSAGetLastError() == WSA_IO_PENDING);
        some_turns(base);
        peer_send(&one.on, 10, 1);
        REQUIRE(run_until(base, [&] { return WaitForSingleObject(own->hEvent, 0) == WAIT_OBJECT_0; }));
        some_turns(base);
        REQUIRE(WSAGetOverlappedResult(one.on.near_end, own, &bytes, FALSE, &flags) && bytes == 10);
        REQUIRE(std::string(room, 10) == pattern(one.on.id, 5, 10));
        CloseHandle(own->hEvent);
        free(own);
        close_pair(&one);
    }
    return true;
}

// The same while a bufferevent without BEV_OPT_CLOSE_ON_FREE has the descriptor, and others go on.
bool foreign_overlapped_beside_a_bufferevent(struct event_base *base)
{
    record one, other;
    REQUIRE(open_pair(base, &one, 0));
    REQUIRE(open_pair(base, &other, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    bufferevent_enable(other.bev, EV_READ);
    some_turns(base);
    std::string got;
    for (size_t round = 1; round <= 5; ++round) {
        WSAOVERLAPPED own = {};
        own.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
        char text[] = "sent by hand";
        WSABUF from = {12, text};
        DWORD bytes = 0, flags = 0;
        int result = WSASend(one.on.near_end, &from, 1, &bytes, 0, &own, nullptr);
        REQUIRE(result == 0 || WSAGetLastError() == WSA_IO_PENDING);
        REQUIRE(run_until(base, [&] { return WaitForSingleObject(own.hEvent, 0) == WAIT_OBJECT_0; }));
        some_turns(base);
        REQUIRE(WSAGetOverlappedResult(one.on.near_end, &own, &bytes, FALSE, &flags) && bytes == 12);
        REQUIRE(peer_reads(base, &one.on, &got, round * 12));
        for (record *each : {&one, &other}) {
            peer_send(&each->on, 100, 1);
            REQUIRE(run_until(base, [&] { return each->data.size() == round * 100; }));
        }
        CloseHandle(own.hEvent);
    }
    close_pair(&one);
    close_pair(&other);
    return true;
}

struct apc_state {
    HANDLE loop_thread;
    int ran;
};

void CALLBACK on_apc(ULONG_PTR argument)
{
    ++reinterpret_cast<apc_state *>(argument)->ran;
}

DWORD WINAPI queue_one(void *argument)
{
    auto *self = static_cast<apc_state *>(argument);
    QueueUserAPC(on_apc, self->loop_thread, reinterpret_cast<ULONG_PTR>(self));
    return 0;
}

// The loop waits alertably, as select does, and goes on waiting after it.
bool apc_runs_while_the_loop_waits(struct event_base *base)
{
    apc_state state = {};
    REQUIRE(DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &state.loop_thread, 0, FALSE,
                            DUPLICATE_SAME_ACCESS));
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ);
    for (int round = 1; round <= 5; ++round) {
        HANDLE thread = CreateThread(nullptr, 0, queue_one, &state, 0, nullptr);
        REQUIRE(run_until(base, [&] { return state.ran == round; }));
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
        peer_send(&one.on, 10, 1);
        REQUIRE(run_until(base, [&] { return one.data.size() == static_cast<size_t>(round) * 10; }));
    }
    close_pair(&one);
    CloseHandle(state.loop_thread);
    return true;
}

} // namespace

const guarantee program_guarantees[] = {
    {"blocking_socket_never_stops_the_loop", blocking_socket_never_stops_the_loop},
    {"foreign_overlapped_after_free", foreign_overlapped_after_free},
    {"foreign_overlapped_beside_a_bufferevent", foreign_overlapped_beside_a_bufferevent},
    {"apc_runs_while_the_loop_waits", apc_runs_while_the_loop_waits},
    {nullptr, nullptr},
};

} // namespace parity
