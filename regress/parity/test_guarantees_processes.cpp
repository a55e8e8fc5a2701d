// event2/iocp_process.h: child processes, which are cmd.exe, that waits as long as its input is open, and this program.
#include "own_parts.h"

namespace parity {

namespace {

struct child {
    struct evprocess *process;
    int ends;
    ev_uint32_t code;
    bool frees;
};

void on_end(struct evprocess *process, ev_uint32_t exit_code, void *argument)
{
    auto *self = static_cast<child *>(argument);
    ++self->ends;
    self->code = exit_code;
    if (self->frees)
        evprocess_iocp_free(process);
}

struct evprocess_iocp_options options_of(const char *command_line, unsigned flags)
{
    struct evprocess_iocp_options options = {};
    options.size = sizeof(options);
    options.command_line = command_line;
    options.flags = flags;
    return options;
}

bool start(struct event_base *base, child *made, const char *command_line, unsigned flags)
{
    *made = {};
    struct evprocess_iocp_options options = options_of(command_line, flags);
    made->process = evprocess_iocp_spawn(base, &options, on_end, made);
    REQUIRE(made->process != nullptr && made->ends == 0);
    return true;
}

bool start_waiting(struct event_base *base, child *made)
{
    return start(base, made, "cmd.exe", EVPROCESS_IOCP_PIPE_STDIN);
}

// The pipe is its.
bool over_pipe(struct event_base *base, record *made, const child &of, int standard)
{
    *made = {};
    made->bev =
        bufferevent_iocp_handle_new(base, evprocess_iocp_take_pipe(of.process, standard), BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(made->bev != nullptr && evprocess_iocp_take_pipe(of.process, standard) == nullptr);
    note_callbacks(made);
    bufferevent_enable(made->bev, standard == 0 ? EV_WRITE : EV_READ);
    return true;
}

bool process_end_is_told_once(struct event_base *base)
{
    child one;
    REQUIRE(start(base, &one, "cmd.exe /c exit 259", 0)); // which is STILL_ACTIVE
    REQUIRE(event_base_dispatch(base) == 1);
    REQUIRE(one.ends == 1 && one.code == 259);
    REQUIRE(error_of([&] { return evprocess_iocp_kill(one.process, 1) == 0; }) == ERROR_ACCESS_DENIED);
    some_turns(base);
    REQUIRE(one.ends == 1);
    evprocess_iocp_free(one.process);
    return true;
}

bool process_input_goes_in(struct event_base *base)
{
    child one;
    record in;
    REQUIRE(start_waiting(base, &one) && over_pipe(base, &in, one, 0));
    REQUIRE(evprocess_iocp_take_pipe(one.process, 1) == nullptr);
    bufferevent_write(in.bev, "exit 9\r\n", 8);
    REQUIRE(happens(base, [&] { return one.ends == 1; }));
    REQUIRE(one.code == 9);
    bufferevent_free(in.bev);
    evprocess_iocp_free(one.process);
    return true;
}

bool process_output_comes_to_its_end(struct event_base *base)
{
    char path[MAX_PATH];
    REQUIRE(GetModuleFileNameA(nullptr, path, MAX_PATH) != 0);
    const char *const argv[] = {path, "--list", nullptr};
    struct evprocess_iocp_options options = options_of(nullptr, EVPROCESS_IOCP_PIPE_STDOUT);
    options.argv = argv;
    child one = {};
    record out;
    one.process = evprocess_iocp_spawn(base, &options, on_end, &one);
    REQUIRE(one.process != nullptr && over_pipe(base, &out, one, 1));
    REQUIRE(happens(base, [&] { return out.ended == 1 && one.ends == 1; }));
    REQUIRE(one.code == 0 && out.errors == 0);
    REQUIRE(out.data.find("process_output_comes_to_its_end") != std::string::npos);
    bufferevent_free(out.bev);
    evprocess_iocp_free(one.process);
    return true;
}

// A pipe that can be inherited ends when we close it, though the child lives.
bool process_inherits_nothing_else(struct event_base *base)
{
    child one;
    void *ours, *theirs;
    record other = {};
    REQUIRE(evutil_iocp_pipe_pair(&ours, &theirs, 1) == 0);
    REQUIRE(start_waiting(base, &one));
    CloseHandle(theirs);
    other.bev = bufferevent_iocp_handle_new(base, ours, BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(other.bev != nullptr);
    note_callbacks(&other);
    bufferevent_enable(other.bev, EV_READ);
    REQUIRE(happens(base, [&] { return other.ended == 1; }));
    REQUIRE(one.ends == 0);
    bufferevent_free(other.bev);
    REQUIRE(evprocess_iocp_kill(one.process, 77) == 0 && one.ends == 0);
    REQUIRE(happens(base, [&] { return one.ends == 1; }));
    REQUIRE(one.code == 77);
    evprocess_iocp_free(one.process);
    return true;
}

bool process_freed_runs_on_untold(struct event_base *)
{
    return leaves_nothing([&](struct event_base *base) {
        child one;
        REQUIRE(start_waiting(base, &one));
        HANDLE input = evprocess_iocp_take_pipe(one.process, 0);
        HANDLE watched = OpenProcess(SYNCHRONIZE, FALSE, evprocess_iocp_get_pid(one.process));
        REQUIRE(input != nullptr && watched != nullptr);
        evprocess_iocp_free(one.process);
        REQUIRE(WaitForSingleObject(watched, 0) == WAIT_TIMEOUT);
        CloseHandle(input);
        REQUIRE(WaitForSingleObject(watched, deadline_ms) == WAIT_OBJECT_0);
        some_turns(base);
        REQUIRE(one.ends == 0);
        CloseHandle(watched);
        return true;
    });
}

// Its pipes, of which none was taken, are closed.
bool process_freed_in_its_own_callback(struct event_base *)
{
    return leaves_nothing([&](struct event_base *base) {
        child one;
        REQUIRE(start(base, &one, "cmd.exe /c exit 0",
                      EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT | EVPROCESS_IOCP_PIPE_STDERR));
        one.frees = true;
        REQUIRE(event_base_dispatch(base) == 1);
        REQUIRE(one.ends == 1);
        return true;
    });
}

bool process_outlives_its_base(struct event_base *)
{
    return leaves_nothing([](struct event_base *) {
        child one;
        struct event_base *own = new_base();
        REQUIRE(own != nullptr && start_waiting(own, &one));
        event_base_free(own);
        REQUIRE(evprocess_iocp_kill(one.process, 1) == 0 && evprocess_iocp_get_pid(one.process) != 0);
        evprocess_iocp_free(one.process);
        REQUIRE(one.ends == 0);
        return true;
    });
}

int error_of_spawn(struct event_base *base, const struct evprocess_iocp_options &options)
{
    return error_of([&] { return evprocess_iocp_spawn(base, &options, on_end, nullptr) != nullptr; });
}

int error_of_line(struct event_base *base, const char *command_line, unsigned flags)
{
    return error_of_spawn(base, options_of(command_line, flags));
}

bool process_refusals(struct event_base *base)
{
    unsigned long handles = accounting::open_handles();
    struct evprocess_iocp_options options = options_of("cmd.exe /c exit 0", EVPROCESS_IOCP_PIPE_STDIN);
    REQUIRE(refused_off_the_port(
        [&](struct event_base *on) { return evprocess_iocp_spawn(on, &options, on_end, nullptr) != nullptr; }));
    const char *const batch[] = {"batch.bat", "&calc", nullptr};
    options.argv = batch;
    REQUIRE(error_of_spawn(base, options) == WSAEINVAL); // both
    options.command_line = nullptr;
    REQUIRE(error_of_spawn(base, options) == WSAEINVAL);
    REQUIRE(error_of_line(base, nullptr, 0) == WSAEINVAL && error_of_line(base, "", 0) == WSAEINVAL);
    REQUIRE(error_of_line(base, "cmd.exe", 0x8000) == WSAEINVAL);
    REQUIRE(error_of_line(base, "cmd.exe", EVPROCESS_IOCP_PIPE_STDERR | EVPROCESS_IOCP_STDERR_TO_STDOUT) == WSAEINVAL);
    REQUIRE(error_of_line(base, "\xff", 0) == ERROR_NO_UNICODE_TRANSLATION);
    REQUIRE(error_of_line(base, std::string(32767, 'x').c_str(), 0) == ERROR_FILENAME_EXCED_RANGE);
    REQUIRE(error_of_line(base, "C:\\no-such-program.exe", EVPROCESS_IOCP_PIPE_STDOUT) == ERROR_FILE_NOT_FOUND);
    evprocess_iocp_free(nullptr);
    REQUIRE(happens(base, [&] { return accounting::open_handles() <= handles; }));
    return true;
}

} // namespace

const guarantee process_guarantees[] = {
    {"process_end_is_told_once", process_end_is_told_once},
    {"process_input_goes_in", process_input_goes_in},
    {"process_output_comes_to_its_end", process_output_comes_to_its_end},
    {"process_inherits_nothing_else", process_inherits_nothing_else},
    {"process_freed_runs_on_untold", process_freed_runs_on_untold},
    {"process_freed_in_its_own_callback", process_freed_in_its_own_callback},
    {"process_outlives_its_base", process_outlives_its_base},
    {"process_refusals", process_refusals},
    {nullptr, nullptr},
};

} // namespace parity
