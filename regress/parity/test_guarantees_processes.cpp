// event2/iocp_process.h: a child's standard handles are bufferevents, and its end is told by the loop.
#include "handles.h"

namespace parity {

namespace {

struct child {
    struct evprocess *process;
    int ended;
    ev_uint32_t code;
    bool frees;
};

void note_end(struct evprocess *process, ev_uint32_t exit_code, void *argument)
{
    auto *self = static_cast<child *>(argument);
    ++self->ended;
    self->code = exit_code;
    if (self->frees)
        evprocess_iocp_free(process);
}

bool start(struct event_base *base, child *into, const char *line, unsigned flags)
{
    struct evprocess_iocp_options options = {};
    options.size = sizeof(options);
    options.command_line = line;
    options.flags = flags;
    into->process = evprocess_iocp_spawn(base, &options, note_end, into);
    return into->process != nullptr;
}

bool runs_until_ended(struct event_base *base, const child &one)
{
    constexpr int rounds = 10; // to start a program takes time
    for (int i = 0; i < rounds && one.ended == 0; ++i)
        run_until(base, [&] { return one.ended != 0; });
    return one.ended == 1;
}

bool its_exit_code_is_told_once(struct event_base *base)
{
    for (bool frees : {false, true}) {
        child one = {};
        one.frees = frees;
        REQUIRE(start(base, &one, "cmd.exe /c exit 7", 0) && evprocess_iocp_get_pid(one.process) != 0);
        REQUIRE(runs_until_ended(base, one) && one.code == 7);
        some_turns(base);
        REQUIRE(one.ended == 1);
        if (!frees)
            evprocess_iocp_free(one.process);
    }
    return true;
}

bool its_output_is_read_to_its_end(struct event_base *base)
{
    child one = {};
    REQUIRE(start(base, &one, "cmd.exe /c echo first&& echo second", EVPROCESS_IOCP_PIPE_STDOUT));
    REQUIRE(evprocess_iocp_take_pipe(one.process, 0) == nullptr && evprocess_iocp_take_pipe(one.process, 2) == nullptr);
    record output = {};
    output.bev = bufferevent_iocp_handle_new(base, evprocess_iocp_take_pipe(one.process, 1), BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(output.bev != nullptr && evprocess_iocp_take_pipe(one.process, 1) == nullptr);
    note_callbacks(&output);
    bufferevent_enable(output.bev, EV_READ);
    REQUIRE(runs_until_ended(base, one) && one.code == 0);
    REQUIRE(run_until(base, [&] { return output.ended == 1; }));
    REQUIRE(output.errors == 0 && output.data.find("first") == 0 && output.data.find("second") != std::string::npos);
    bufferevent_free(output.bev);
    evprocess_iocp_free(one.process);
    return true;
}

bool what_is_written_is_its_input(struct event_base *base)
{
    child one = {};
    REQUIRE(start(base, &one, "cmd.exe", EVPROCESS_IOCP_PIPE_STDIN));
    struct bufferevent *input =
        bufferevent_iocp_handle_new(base, evprocess_iocp_take_pipe(one.process, 0), BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(input != nullptr);
    bufferevent_write(input, "exit 5\r\n", 8);
    REQUIRE(runs_until_ended(base, one) && one.code == 5);
    bufferevent_free(input);
    evprocess_iocp_free(one.process);
    return true;
}

bool killed_or_let_go_it_leaves_nothing(struct event_base *base)
{
    DWORD before = 0;
    for (int i = 0; i < 6; ++i) {
        child one = {};
        unsigned pipes = EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT | EVPROCESS_IOCP_PIPE_STDERR;
        REQUIRE(start(base, &one, "cmd.exe", pipes)); // waits for its input
        REQUIRE(evprocess_iocp_kill(one.process, 9) == 0);
        if (i % 2 == 0)
            REQUIRE(runs_until_ended(base, one) && one.code == 9);
        evprocess_iocp_free(one.process); // with its pipes, and be it that its end is not told
        some_turns(base);
        REQUIRE(one.ended == (i % 2 == 0));
        if (i == 1)
            before = handles_open();
    }
    REQUIRE(run_until(base, [&] { return handles_open() <= before; }));
    return true;
}

bool what_cannot_be_started_is_refused(struct event_base *base)
{
    child one = {};
    REQUIRE(!start(base, &one, "no-such-program-here.exe", EVPROCESS_IOCP_PIPE_STDOUT));
    REQUIRE(EVUTIL_SOCKET_ERROR() == ERROR_FILE_NOT_FOUND);
    REQUIRE(!start(base, &one, "cmd.exe \xff", 0) && EVUTIL_SOCKET_ERROR() == ERROR_NO_UNICODE_TRANSLATION);
    REQUIRE(!start(base, &one, "", 0) && EVUTIL_SOCKET_ERROR() == WSAEINVAL);
    struct event_base *other = select_base();
    REQUIRE(!start(other, &one, "cmd.exe", 0) && EVUTIL_SOCKET_ERROR() == WSAEOPNOTSUPP);
    REQUIRE(!start(nullptr, &one, "cmd.exe", 0) && EVUTIL_SOCKET_ERROR() == WSAEOPNOTSUPP);
    event_base_free(other);
    some_turns(base);
    REQUIRE(one.ended == 0);
    return true;
}

} // namespace

const guarantee process_guarantees[] = {
    {"process_its_exit_code_is_told_once", its_exit_code_is_told_once},
    {"process_its_output_is_read_to_its_end", its_output_is_read_to_its_end},
    {"process_what_is_written_is_its_input", what_is_written_is_its_input},
    {"process_killed_or_let_go_it_leaves_nothing", killed_or_let_go_it_leaves_nothing},
    {"process_what_cannot_be_started_is_refused", what_cannot_be_started_is_refused},
    {nullptr, nullptr},
};

} // namespace parity
