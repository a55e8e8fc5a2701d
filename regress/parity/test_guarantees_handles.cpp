// event2/iocp_handle.h: a bufferevent over a pipe does what one over a socket does.
#include "handles.h"

namespace parity {

bool pipe_ends(HANDLE *ours, HANDLE *theirs)
{
    constexpr DWORD room = 65536;
    std::string name = new_pipe_name();
    *ours = CreateNamedPipeA(name.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, 0, 1, room, room, 0, nullptr);
    *theirs = CreateFileA(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, FILE_FLAG_OVERLAPPED,
                          nullptr);
    return *ours != INVALID_HANDLE_VALUE && *theirs != INVALID_HANDLE_VALUE;
}

namespace {

struct pair {
    record ours;
    record theirs;
};

bool open_over(struct event_base *base, record *into, HANDLE handle)
{
    *into = {};
    into->bev = bufferevent_iocp_handle_new(base, handle, BEV_OPT_CLOSE_ON_FREE);
    if (into->bev == nullptr)
        return false;
    note_callbacks(into);
    return bufferevent_enable(into->bev, EV_READ | EV_WRITE) == 0;
}

bool open_pipe(struct event_base *base, pair *into)
{
    HANDLE ours, theirs;
    return pipe_ends(&ours, &theirs) && open_over(base, &into->ours, ours) && open_over(base, &into->theirs, theirs);
}

void close_pipe(pair *of)
{
    for (record *end : {&of->ours, &of->theirs})
        if (end->bev != nullptr)
            bufferevent_free(end->bev);
}

bool bytes_go_both_ways(struct event_base *base)
{
    constexpr size_t length = 1 << 20;
    pair on;
    REQUIRE(open_pipe(base, &on));
    std::string there = pattern(1, 0, length), back = pattern(2, 0, length);
    REQUIRE(bufferevent_write(on.ours.bev, there.data(), length) == 0);
    REQUIRE(bufferevent_write(on.theirs.bev, back.data(), length) == 0);
    REQUIRE(run_until(base, [&] { return on.ours.data.size() >= length && on.theirs.data.size() >= length; }));
    REQUIRE(on.theirs.data == there && on.ours.data == back && on.ours.errors + on.theirs.errors == 0);
    close_pipe(&on);
    return true;
}

bool what_was_written_arrives_and_then_the_end(struct event_base *base)
{
    constexpr size_t length = 200 * 1000;
    pair on;
    REQUIRE(open_pipe(base, &on));
    std::string all = pattern(3, 0, length);
    bufferevent_write(on.ours.bev, all.data(), length);
    REQUIRE(run_until(base, [&] { return evbuffer_get_length(bufferevent_get_output(on.ours.bev)) == 0; }));
    bufferevent_free(on.ours.bev); // a write may be in flight
    on.ours.bev = nullptr;
    REQUIRE(run_until(base, [&] { return on.theirs.ended == 1; }));
    REQUIRE(on.theirs.data == all && on.theirs.errors == 0);
    close_pipe(&on);
    return true;
}

bool freed_with_all_in_flight_leaves_nothing(struct event_base *base)
{
    std::string much = pattern(4, 0, 300 * 1000);
    DWORD before = 0;
    struct timeval shortly = {0, 100 * 1000};
    REQUIRE(event_base_iocp_set_lingering(base, &shortly, 0) == 0);
    for (int i = 0; i < 30; ++i) {
        pair on;
        REQUIRE(open_pipe(base, &on));
        bufferevent_disable(on.theirs.bev, EV_READ);
        bufferevent_write(on.ours.bev, much.data(), much.size());
        turn(base);
        close_pipe(&on);
        some_turns(base);
        if (i == 9)
            before = handles_open();
    }
    REQUIRE(run_until(base, [&] { return handles_open() <= before; }));
    return true;
}

bool is_valid(HANDLE handle)
{
    DWORD flags;
    return GetHandleInformation(handle, &flags) != FALSE;
}

bool without_close_on_free_it_is_given_back(struct event_base *base)
{
    HANDLE ours, theirs;
    REQUIRE(pipe_ends(&ours, &theirs));
    struct bufferevent *bev = bufferevent_iocp_handle_new(base, ours, 0);
    REQUIRE(bev != nullptr && bufferevent_getfd(bev) == reinterpret_cast<evutil_socket_t>(ours));
    bufferevent_enable(bev, EV_READ);
    some_turns(base);
    bufferevent_free(bev);
    some_turns(base);
    REQUIRE(is_valid(ours));
    record again;
    REQUIRE(open_over(base, &again, ours)); // and may be used again
    bufferevent_free(again.bev);
    some_turns(base);
    REQUIRE(!is_valid(ours));
    CloseHandle(theirs);
    return true;
}

struct freed_on_reading {
    struct bufferevent *bev;
    int calls;
};

void free_on_reading(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<freed_on_reading *>(argument);
    ++self->calls;
    bufferevent_free(bev);
}

void count_event(struct bufferevent *, short, void *argument)
{
    ++static_cast<freed_on_reading *>(argument)->calls;
}

bool nothing_is_called_after_a_free_in_the_callback(struct event_base *base)
{
    HANDLE ours, theirs;
    REQUIRE(pipe_ends(&ours, &theirs));
    record other;
    REQUIRE(open_over(base, &other, theirs));
    freed_on_reading self = {bufferevent_iocp_handle_new(base, ours, BEV_OPT_CLOSE_ON_FREE), 0};
    REQUIRE(self.bev != nullptr);
    bufferevent_setcb(self.bev, free_on_reading, nullptr, count_event, &self);
    bufferevent_enable(self.bev, EV_READ);
    bufferevent_write(other.bev, "one", 3);
    REQUIRE(run_until(base, [&] { return self.calls > 0; }));
    bufferevent_write(other.bev, "two", 3);
    REQUIRE(run_until(base, [&] { return other.ended + other.errors > 0; }));
    REQUIRE(self.calls == 1);
    bufferevent_free(other.bev);
    return true;
}

bool what_has_no_bytes_or_no_overlapped_is_refused(struct event_base *base)
{
    HANDLE ours, theirs, reads, writes;
    REQUIRE(pipe_ends(&ours, &theirs) && CreatePipe(&reads, &writes, nullptr, 0));
    HANDLE mutex = CreateMutexA(nullptr, FALSE, nullptr);
    REQUIRE(is_refused(bufferevent_iocp_handle_new(base, mutex, 0), ERROR_INVALID_HANDLE));
    REQUIRE(is_refused(bufferevent_iocp_handle_new(base, nullptr, 0), ERROR_INVALID_HANDLE));
    REQUIRE(is_refused(bufferevent_iocp_handle_new(base, reads, 0), ERROR_INVALID_PARAMETER));
    char folder[MAX_PATH], path[MAX_PATH];
    REQUIRE(GetTempPathA(MAX_PATH, folder) != 0 && GetTempFileNameA(folder, "ioc", 0, path) != 0);
    HANDLE file = CreateFileA(path, GENERIC_READ, 0, nullptr, OPEN_EXISTING,
                              FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
    REQUIRE(is_refused(bufferevent_iocp_handle_new(base, file, 0), ERROR_NOT_SUPPORTED));
    SOCKET one = raw_socket();
    REQUIRE(is_refused(bufferevent_iocp_handle_new(base, reinterpret_cast<void *>(one), 0), WSAESOCKTNOSUPPORT));
    struct event_base *other = select_base();
    REQUIRE(is_refused(bufferevent_iocp_handle_new(other, ours, 0), WSAEOPNOTSUPP));
    REQUIRE(is_refused(bufferevent_iocp_handle_new(nullptr, ours, 0), WSAEOPNOTSUPP));
    event_base_free(other);
    closesocket(one);
    for (HANDLE each : {ours, theirs, reads, writes, mutex, file})
        REQUIRE(CloseHandle(each)); // as they were
    return true;
}

} // namespace

const guarantee handle_guarantees[] = {
    {"handle_bytes_go_both_ways", bytes_go_both_ways},
    {"handle_what_was_written_arrives_and_then_the_end", what_was_written_arrives_and_then_the_end},
    {"handle_freed_with_all_in_flight_leaves_nothing", freed_with_all_in_flight_leaves_nothing},
    {"handle_without_close_on_free_it_is_given_back", without_close_on_free_it_is_given_back},
    {"handle_nothing_is_called_after_a_free_in_the_callback", nothing_is_called_after_a_free_in_the_callback},
    {"handle_what_has_no_bytes_or_no_overlapped_is_refused", what_has_no_bytes_or_no_overlapped_is_refused},
    {nullptr, nullptr},
};

} // namespace parity
