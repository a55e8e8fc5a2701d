// event2/iocp_handle.h: a bufferevent over a HANDLE, here our end of a child's pipe.
#include "own_parts.h"

#include <string.h>

namespace parity {

namespace {

struct end {
    record of;
    void *ours;
    void *theirs;
};

bool open_end(struct event_base *base, end *made, bool we_read, int options = BEV_OPT_CLOSE_ON_FREE)
{
    *made = {};
    REQUIRE(evutil_iocp_pipe_pair(&made->ours, &made->theirs, we_read) == 0);
    made->of.bev = bufferevent_iocp_handle_new(base, made->ours, options);
    REQUIRE(made->of.bev != nullptr);
    note_callbacks(&made->of);
    REQUIRE(bufferevent_enable(made->of.bev, we_read ? EV_READ : EV_WRITE) == 0);
    return true;
}

void close_theirs(end *of)
{
    if (of->theirs != nullptr)
        CloseHandle(of->theirs);
    of->theirs = nullptr;
}

void close_end(end *of)
{
    if (of->of.bev != nullptr)
        bufferevent_free(of->of.bev);
    of->of.bev = nullptr;
    close_theirs(of);
}

bool handle_bytes_arrive_as_they_were(struct event_base *base)
{
    end in, out;
    REQUIRE(open_end(base, &in, true) && open_end(base, &out, false));
    std::string sent = pattern(1, 0, 3000), got;
    REQUIRE(write_by_hand(in.theirs, sent));
    out.of.inside_call = true;
    bufferevent_write(out.of.bev, sent.data(), sent.size());
    out.of.inside_call = false;
    REQUIRE(happens(base, [&] { return in.of.data.size() >= sent.size() && out.of.writes > 0; }));
    REQUIRE(read_by_hand(base, out.theirs, &got, sent.size()));
    REQUIRE(in.of.data == sent && got == sent);
    REQUIRE(!in.of.wrong_thread && !out.of.wrong_thread && !out.of.called_inside);
    close_end(&in);
    close_end(&out);
    return true;
}

// A socket bufferevent that is made with its descriptor tells of no write.
bool handle_tells_of_nothing_as_long_as_nothing_happens(struct event_base *base)
{
    end in;
    record as_socket;
    REQUIRE(open_end(base, &in, true) && open_pair(base, &as_socket, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_enable(as_socket.bev, EV_READ);
    some_turns(base);
    REQUIRE(as_socket.reads + as_socket.writes + as_socket.ended + as_socket.errors == 0);
    REQUIRE(in.of.reads + in.of.writes + in.of.ended + in.of.errors == 0);
    close_end(&in);
    close_pair(&as_socket);
    return true;
}

bool handle_end_comes_after_the_bytes(struct event_base *base)
{
    end in;
    REQUIRE(open_end(base, &in, true));
    std::string sent = pattern(2, 0, 3000);
    REQUIRE(write_by_hand(in.theirs, sent));
    close_theirs(&in);
    REQUIRE(happens(base, [&] { return in.of.ended + in.of.errors > 0; }));
    REQUIRE(in.of.data == sent && in.of.ended == 1 && in.of.errors == 0);
    some_turns(base);
    REQUIRE(in.of.ended == 1);
    close_end(&in);
    return true;
}

bool handle_write_to_nobody_is_an_error(struct event_base *base)
{
    end out;
    REQUIRE(open_end(base, &out, false));
    close_theirs(&out);
    bufferevent_write(out.of.bev, "?", 1);
    REQUIRE(happens(base, [&] { return out.of.errors > 0; }));
    REQUIRE(out.of.error == ERROR_NO_DATA || out.of.error == ERROR_BROKEN_PIPE);
    close_end(&out);
    return true;
}

bool handle_has_watermarks_and_timeouts(struct event_base *base)
{
    end in;
    REQUIRE(open_end(base, &in, true));
    bufferevent_setwatermark(in.of.bev, EV_READ, 6, 0);
    REQUIRE(write_by_hand(in.theirs, "fiveb"));
    struct evbuffer *input = bufferevent_get_input(in.of.bev);
    REQUIRE(happens(base, [&] { return evbuffer_get_length(input) == 5; }));
    some_turns(base);
    REQUIRE(in.of.reads == 0);
    REQUIRE(write_by_hand(in.theirs, "6"));
    REQUIRE(happens(base, [&] { return in.of.reads == 1; }));
    struct timeval soon = {0, 10 * 1000};
    bufferevent_set_timeouts(in.of.bev, &soon, nullptr);
    REQUIRE(happens(base, [&] { return in.of.timeouts == 1; }));
    close_end(&in);
    return true;
}

// With all that was not added to the input, though a read was in flight.
bool handle_is_its_programs_again(struct event_base *base)
{
    end in;
    REQUIRE(open_end(base, &in, true, 0));
    REQUIRE(write_by_hand(in.theirs, "read"));
    REQUIRE(happens(base, [&] { return in.of.data == "read"; }));
    some_turns(base);
    REQUIRE(write_by_hand(in.theirs, "unread"));
    bufferevent_free(in.of.bev);
    DWORD there = 0;
    REQUIRE(PeekNamedPipe(in.ours, nullptr, 0, nullptr, &there, nullptr) && there == strlen("unread"));
    REQUIRE(write_by_hand(in.theirs, ", later"));
    some_turns(base);
    in.of.bev = bufferevent_iocp_handle_new(base, in.ours, BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(in.of.bev != nullptr && bufferevent_getfd(in.of.bev) == reinterpret_cast<evutil_socket_t>(in.ours));
    note_callbacks(&in.of);
    bufferevent_enable(in.of.bev, EV_READ);
    REQUIRE(happens(base, [&] { return in.of.data == "readunread, later"; }));
    close_end(&in);
    REQUIRE(happens(base, [&] { return !handle_is_open(in.ours); }));
    return true;
}

void free_itself(struct bufferevent *bev, void *argument)
{
    ++*static_cast<int *>(argument);
    bufferevent_free(bev);
}

bool handle_freed_in_its_own_callback(struct event_base *)
{
    return leaves_nothing([&](struct event_base *base) {
        end in;
        int calls = 0;
        REQUIRE(open_end(base, &in, true));
        bufferevent_setcb(in.of.bev, free_itself, nullptr, nullptr, &calls);
        REQUIRE(write_by_hand(in.theirs, "x"));
        REQUIRE(happens(base, [&] { return calls == 1; }));
        in.of.bev = nullptr;
        REQUIRE(happens(base, [&] { return !handle_is_open(in.ours); }));
        REQUIRE(calls == 1);
        close_end(&in);
        return true;
    });
}

// Freed with a read in flight, with bytes that nobody was told of, and with a write.
bool handle_no_callback_after_free(struct event_base *)
{
    return leaves_nothing([&](struct event_base *base) {
        end idle, told, out;
        REQUIRE(open_end(base, &idle, true) && open_end(base, &told, true) && open_end(base, &out, false));
        turn(base);
        REQUIRE(write_by_hand(told.theirs, "untold"));
        bufferevent_write(out.of.bev, "written", 7);
        for (end *each : {&idle, &told, &out}) {
            each->of.writes = 0; // to enable writing has told of one
            close_end(each);
        }
        some_turns(base);
        for (end *each : {&idle, &told, &out})
            REQUIRE(each->of.reads + each->of.writes + each->of.ended + each->of.errors == 0);
        return true;
    });
}

int error_of_handle(struct event_base *base, void *handle)
{
    return error_of([&] { return bufferevent_iocp_handle_new(base, handle, 0) != nullptr; });
}

// Its program keeps a reference: its output goes to the last byte.
bool handle_freed_by_who_has_a_reference(struct event_base *base)
{
    end out;
    REQUIRE(open_end(base, &out, false));
    std::string sent = pattern(3, 0, 300000), got;
    struct bufferevent *bev = out.of.bev;
    bufferevent_incref(bev);
    bufferevent_write(bev, sent.data(), sent.size());
    bufferevent_free(bev);
    out.of.bev = nullptr;
    REQUIRE(read_by_hand(base, out.theirs, &got, sent.size()));
    REQUIRE(got == sent && bufferevent_decref(bev) == 1);
    close_end(&out);
    return true;
}

bool handle_refusals(struct event_base *base)
{
    end in;
    HANDLE reading, writing, event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    REQUIRE(open_end(base, &in, true) && CreatePipe(&reading, &writing, nullptr, 0));
    SOCKET of_winsock = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(refused_off_the_port(
        [&](struct event_base *on) { return bufferevent_iocp_handle_new(on, in.ours, 0) != nullptr; }));
    REQUIRE(error_of_handle(base, nullptr) == ERROR_INVALID_HANDLE);
    REQUIRE(error_of_handle(base, event) == ERROR_INVALID_HANDLE);
    REQUIRE(error_of_handle(base, reading) == ERROR_INVALID_PARAMETER);
    REQUIRE(error_of_handle(base, reinterpret_cast<void *>(of_winsock)) == WSAESOCKTNOSUPPORT);
    REQUIRE(error_of_handle(base, in.ours) == WSAEALREADY);
    REQUIRE(error_of([&] { return bufferevent_iocp_handle_new(base, in.ours, BEV_OPT_UNLOCK_CALLBACKS) != nullptr; }) ==
            WSAEINVAL);
    struct sockaddr_in address = open_address();
    auto *to = reinterpret_cast<struct sockaddr *>(&address);
    REQUIRE(error_of([&] { return bufferevent_socket_connect(in.of.bev, to, sizeof(address)) == 0; }) == WSAEOPNOTSUPP);
    // All are as they were.
    REQUIRE(write_by_hand(writing, "x") && SetEvent(event) && write_by_hand(in.theirs, "y"));
    REQUIRE(happens(base, [&] { return in.of.data == "y"; }));
    for (HANDLE each : {reading, writing, event})
        REQUIRE(CloseHandle(each));
    REQUIRE(closesocket(of_winsock) == 0);
    close_end(&in);
    return true;
}

} // namespace

const guarantee handle_guarantees[] = {
    {"handle_bytes_arrive_as_they_were", handle_bytes_arrive_as_they_were},
    {"handle_tells_of_nothing_as_long_as_nothing_happens", handle_tells_of_nothing_as_long_as_nothing_happens},
    {"handle_end_comes_after_the_bytes", handle_end_comes_after_the_bytes},
    {"handle_write_to_nobody_is_an_error", handle_write_to_nobody_is_an_error},
    {"handle_has_watermarks_and_timeouts", handle_has_watermarks_and_timeouts},
    {"handle_is_its_programs_again", handle_is_its_programs_again},
    {"handle_freed_in_its_own_callback", handle_freed_in_its_own_callback},
    {"handle_no_callback_after_free", handle_no_callback_after_free},
    {"handle_freed_by_who_has_a_reference", handle_freed_by_who_has_a_reference},
    {"handle_refusals", handle_refusals},
    {nullptr, nullptr},
};

} // namespace parity
