// Programs that know Windows: sockets that block, overlapped calls of their own, APCs.
#include "guarantees.h"

#include <mswsock.h>
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
            REQUIRE(got == "answeransweranswer");
            peer_finish(&one.on);
            REQUIRE(run_until(base, [&] { return one.ended == 1; }));
            close_pair(&one);
        }
    }
    return true;
}

struct pipeline {
    record *one;
    int size;
    int left;
};

bool comes_within_seconds(SOCKET socket)
{
    fd_set wanted;
    FD_ZERO(&wanted);
    FD_SET(socket, &wanted);
    struct timeval limit = {5, 0};
    return select(0, &wanted, nullptr, nullptr, &limit) == 1;
}

// The next message is there before the callback for this one returns.
void take_and_ask_for_more(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<pipeline *>(argument);
    struct evbuffer *input = bufferevent_get_input(bev);
    self->one->data.append(reinterpret_cast<char *>(evbuffer_pullup(input, -1)), evbuffer_get_length(input));
    evbuffer_drain(input, evbuffer_get_length(input));
    if (self->left == 0)
        return;
    --self->left;
    peer_send(&self->one->on, self->size, 1);
    comes_within_seconds(self->one->on.near_end);
}

// Messages of whatever size, a whole read among them, follow each other without a pause.
bool blocking_socket_with_pipelined_messages(struct event_base *base)
{
    for (int options : option_sets) {
        for (size_t size : small_sizes) {
            record one;
            REQUIRE(open_unconnected(base, &one, options));
            bool closes = one.on.near_closed;
            REQUIRE(connection_make(&one.on, 1));
            one.on.near_closed = closes;
            make_blocking(one.on.near_end); // here before the bufferevent has it
            REQUIRE(bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(one.on.near_end)) == 0);
            pipeline all = {&one, static_cast<int>(size), 3};
            bufferevent_setcb(one.bev, take_and_ask_for_more, nullptr, nullptr, &all);
            bufferevent_enable(one.bev, EV_READ);
            peer_send(&one.on, all.size, 1);
            REQUIRE(run_until(base, [&] { return one.data.size() == 4 * size; }));
            some_turns(base);
            REQUIRE(one.data == pattern(one.on.id, 0, 4 * size));
            close_pair(&one);
        }
    }
    return true;
}

// The program's own receive, with an event, beside whose OVERLAPPED lies what is no part of any operation.
bool receives_by_itself(struct event_base *base, connection *on, SOCKET through)
{
    constexpr size_t beside = 4096;
    auto *own = static_cast<WSAOVERLAPPED *>(malloc(beside));
    memset(own, 0x41, beside);
    *own = {};
    own->hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    char room[100];
    WSABUF into = {sizeof(room), room};
    DWORD bytes = 0, flags = 0;
    REQUIRE(WSARecv(through, &into, 1, &bytes, &flags, own, nullptr) != 0 && WSAGetLastError() == WSA_IO_PENDING);
    some_turns(base);
    size_t before = on->sent;
    peer_send(on, 10, 1);
    REQUIRE(run_until(base, [&] { return WaitForSingleObject(own->hEvent, 0) == WAIT_OBJECT_0; }));
    some_turns(base);
    REQUIRE(WSAGetOverlappedResult(through, own, &bytes, FALSE, &flags) && bytes == 10);
    REQUIRE(std::string(room, 10) == pattern(on->id, before, 10));
    CloseHandle(own->hEvent);
    free(own);
    return true;
}

// The program's own operation on a descriptor that a bufferevent has had: the base's port must not mind its packet.
bool foreign_overlapped_after_free(struct event_base *base)
{
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
        REQUIRE(receives_by_itself(base, &one.on, one.on.near_end));
        close_pair(&one);
    }
    return true;
}

// The same where it was the base that connected it.
bool foreign_overlapped_after_a_connect(struct event_base *base)
{
    record one;
    REQUIRE(open_unconnected(base, &one, 0));
    one.on.near_end = raw_socket();
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(one.on.near_end));
    bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(one.on.near_end));
    struct sockaddr_in address = open_address();
    REQUIRE(bufferevent_socket_connect(one.bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0);
    REQUIRE(run_until(base, [&] { return one.connected == 1; }));
    REQUIRE(connection_accept(&one.on));
    bufferevent_free(one.bev);
    one.bev = nullptr;
    some_turns(base);
    REQUIRE(receives_by_itself(base, &one.on, one.on.near_end));
    close_pair(&one);
    return true;
}

// And while a bufferevent has the descriptor, and sends by it.
bool foreign_overlapped_amid_a_life(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    std::string got;
    for (size_t round = 1; round <= 3; ++round) {
        bufferevent_write(one.bev, "asked", 5);
        REQUIRE(peer_reads(base, &one.on, &got, round * 5));
        REQUIRE(receives_by_itself(base, &one.on, one.on.near_end));
    }
    REQUIRE(got == "askedaskedasked");
    close_pair(&one);
    return true;
}

// What another process does that was given the socket: the operation is of another handle, and the port the same.
bool foreign_overlapped_by_a_duplicate(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    std::string got;
    bufferevent_write(one.bev, "asked", 5);
    REQUIRE(peer_reads(base, &one.on, &got, 5));
    WSAPROTOCOL_INFOW info;
    REQUIRE(WSADuplicateSocketW(one.on.near_end, GetCurrentProcessId(), &info) == 0);
    SOCKET twin = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED);
    REQUIRE(twin != INVALID_SOCKET);
    REQUIRE(receives_by_itself(base, &one.on, twin));
    bufferevent_free(one.bev);
    one.bev = nullptr;
    some_turns(base);
    REQUIRE(receives_by_itself(base, &one.on, twin));
    closesocket(twin);
    close_pair(&one);
    return true;
}

HANDLE file_of(const char *text, DWORD length)
{
    char folder[MAX_PATH], path[MAX_PATH];
    if (GetTempPathA(sizeof(folder), folder) == 0 || GetTempFileNameA(folder, "own", 0, path) == 0)
        return INVALID_HANDLE_VALUE;
    HANDLE file =
        CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, nullptr);
    DWORD written;
    WriteFile(file, text, length, &written, nullptr);
    return file;
}

bool foreign_transmit_file(struct event_base *base)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    std::string got;
    bufferevent_write(one.bev, "asked", 5);
    REQUIRE(peer_reads(base, &one.on, &got, 5));
    GUID id = WSAID_TRANSMITFILE;
    LPFN_TRANSMITFILE transmit = nullptr;
    DWORD bytes = 0, flags = 0;
    REQUIRE(WSAIoctl(one.on.near_end, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), &transmit, sizeof(transmit),
                     &bytes, nullptr, nullptr) == 0);
    HANDLE file = file_of("a file's bytes", 14);
    REQUIRE(file != INVALID_HANDLE_VALUE);
    WSAOVERLAPPED own = {}; // its Offset is where in the file
    own.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    REQUIRE(transmit(one.on.near_end, file, 14, 0, &own, nullptr, 0) || WSAGetLastError() == WSA_IO_PENDING);
    REQUIRE(run_until(base, [&] { return WaitForSingleObject(own.hEvent, 0) == WAIT_OBJECT_0; }));
    some_turns(base);
    REQUIRE(WSAGetOverlappedResult(one.on.near_end, &own, &bytes, FALSE, &flags) && bytes == 14);
    REQUIRE(peer_reads(base, &one.on, &got, 5 + 14));
    REQUIRE(got == "askeda file's bytes");
    CloseHandle(own.hEvent);
    CloseHandle(file);
    close_pair(&one);
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
    for (size_t round = 1; round <= 5; ++round) {
        std::string got;
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
        REQUIRE(peer_reads(base, &one.on, &got, 12) && got == text);
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
    {"blocking_socket_with_pipelined_messages", blocking_socket_with_pipelined_messages},
    {"foreign_overlapped_after_free", foreign_overlapped_after_free},
    {"foreign_overlapped_after_a_connect", foreign_overlapped_after_a_connect},
    {"foreign_overlapped_amid_a_life", foreign_overlapped_amid_a_life},
    {"foreign_overlapped_beside_a_bufferevent", foreign_overlapped_beside_a_bufferevent},
    {"foreign_overlapped_by_a_duplicate", foreign_overlapped_by_a_duplicate},
    {"foreign_transmit_file", foreign_transmit_file},
    {"apc_runs_while_the_loop_waits", apc_runs_while_the_loop_waits},
    {nullptr, nullptr},
};

} // namespace parity
