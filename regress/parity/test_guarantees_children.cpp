// What a child process has inherited when it was made is open as long as it lives. What came later, or was closed
// before, is not among it: its peer sees the end.
#include "guarantees.h"

namespace parity {

namespace {

constexpr size_t filling = 1024 * 1024;
constexpr int connections = 8;

// This program once more, which never runs: what it inherits, it has all the same. It ends with us at the latest.
class child {
public:
    child()
    {
        char path[MAX_PATH];
        STARTUPINFOA start = {};
        start.cb = sizeof(start);
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION limit = {};
        limit.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        job = CreateJobObjectA(nullptr, nullptr);
        is_made = SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limit, sizeof(limit)) != FALSE &&
                  GetModuleFileNameA(nullptr, path, sizeof(path)) != 0 &&
                  CreateProcessA(path, nullptr, nullptr, nullptr, TRUE, CREATE_SUSPENDED, nullptr, nullptr, &start,
                                 &made) != FALSE &&
                  AssignProcessToJobObject(job, made.hProcess) != FALSE;
    }
    ~child()
    {
        if (made.hProcess != nullptr) {
            TerminateProcess(made.hProcess, 0);
            WaitForSingleObject(made.hProcess, deadline_ms);
            CloseHandle(made.hThread);
            CloseHandle(made.hProcess);
        }
        CloseHandle(job);
    }
    child(const child &) = delete;
    child &operator=(const child &) = delete;

    bool lives() const { return is_made && WaitForSingleObject(made.hProcess, 0) == WAIT_TIMEOUT; }

private:
    HANDLE job;
    PROCESS_INFORMATION made = {};
    bool is_made;
};

void close_accepted(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *count)
{
    ++*static_cast<int *>(count);
    evutil_closesocket(fd);
}

bool ends(struct event_base *base, SOCKET peer)
{
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(peer));
    char byte;
    return run_until(base, [&] { return recv(peer, &byte, 1, 0) == 0; });
}

bool children_have_no_later_connection(struct event_base *base)
{
    for (unsigned flags : {0u, static_cast<unsigned>(LEV_OPT_CLOSE_ON_EXEC)}) {
        int accepted = 0;
        struct sockaddr_in address;
        SOCKET listening = listening_socket(connections, &address);
        struct evconnlistener *listener = evconnlistener_new(
            base, close_accepted, &accepted, flags | LEV_OPT_CLOSE_ON_FREE, 0, static_cast<evutil_socket_t>(listening));
        REQUIRE(listener != nullptr);
        some_turns(base);
        child one;
        REQUIRE(one.lives());
        for (int i = 1; i <= connections; ++i) {
            SOCKET peer = client_of(address);
            REQUIRE(peer != INVALID_SOCKET && run_until(base, [&] { return accepted == i; }));
            REQUIRE(ends(base, peer));
            closesocket(peer);
        }
        REQUIRE(one.lives());
        evconnlistener_free(listener);
    }
    return true;
}

bool is_closed_before(struct event_base *base, bool sends)
{
    record one;
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(one.bev, EV_READ | EV_WRITE);
    if (sends)
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
    some_turns(base);
    size_t sent = sends ? filling - evbuffer_get_length(bufferevent_get_output(one.bev)) : 0;
    evutil_closesocket(static_cast<evutil_socket_t>(one.on.near_end));
    one.on.near_end = INVALID_SOCKET;
    bufferevent_setfd(one.bev, -1);
    child other;
    std::string got;
    REQUIRE(other.lives() && peer_reads_to_the_end(base, &one.on, &got));
    REQUIRE(!one.on.far_reset && got == pattern(9, 0, sent));
    REQUIRE(other.lives());
    close_pair(&one);
    return true;
}

bool children_have_nothing_that_was_closed(struct event_base *base)
{
    return is_closed_before(base, false) && is_closed_before(base, true);
}

} // namespace

const guarantee children_guarantees[] = {
    {"children_have_no_later_connection", children_have_no_later_connection},
    {"children_have_nothing_that_was_closed", children_have_nothing_that_was_closed},
    {nullptr, nullptr},
};

} // namespace parity
