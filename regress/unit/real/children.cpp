#include "real/children.h"

namespace real {

char own_path[MAX_PATH];

void find_own_path()
{
    GetModuleFileNameA(nullptr, own_path, MAX_PATH);
}

void on_end(struct evprocess *, ev_uint32_t exit_code, void *argument)
{
    auto *to = static_cast<ended *>(argument);
    ++to->count;
    to->code = exit_code;
    event_base_loopbreak(base);
}

struct evprocess_iocp_options no_options()
{
    struct evprocess_iocp_options options = {};
    options.size = sizeof(options);
    return options;
}

struct evprocess *spawn(const std::vector<const char *> &words, struct evprocess_iocp_options options, ended *to)
{
    std::vector<const char *> argv = {own_path};
    argv.insert(argv.end(), words.begin(), words.end());
    argv.push_back(nullptr);
    options.argv = argv.data();
    return evprocess_iocp_spawn(base, &options, on_end, to);
}

ev_uint32_t exit_code_of(const std::vector<const char *> &words, const struct evprocess_iocp_options &options)
{
    ended to = {};
    struct evprocess *process = spawn(words, options, &to);
    assert_non_null(process);
    assert_int_equal(to.count, 0);
    assert_true(run_loop());
    assert_int_equal(to.count, 1);
    evprocess_iocp_free(process);
    return to.code;
}

int move(HANDLE pipe, bool reads, void *bytes, DWORD size)
{
    OVERLAPPED overlapped = {};
    overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    BOOL ok =
        reads ? ReadFile(pipe, bytes, size, nullptr, &overlapped) : WriteFile(pipe, bytes, size, nullptr, &overlapped);
    bool pends = !ok && GetLastError() == ERROR_IO_PENDING;
    if (pends && WaitForSingleObject(overlapped.hEvent, limit_ms) != WAIT_OBJECT_0)
        CancelIoEx(pipe, &overlapped);
    DWORD count = 0;
    bool moved = (ok || pends) && GetOverlappedResult(pipe, &overlapped, &count, TRUE);
    CloseHandle(overlapped.hEvent);
    return moved ? static_cast<int>(count) : -1;
}

std::string read_to_end(HANDLE pipe)
{
    std::string all;
    char bytes[4096];
    for (int count = move(pipe, true, bytes, sizeof(bytes)); count >= 0; count = move(pipe, true, bytes, sizeof(bytes)))
        all.append(bytes, static_cast<size_t>(count));
    CloseHandle(pipe);
    return all;
}

std::string output_of(const std::vector<const char *> &words, struct evprocess_iocp_options options)
{
    ended to = {};
    options.flags |= EVPROCESS_IOCP_PIPE_STDOUT;
    struct evprocess *process = spawn(words, options, &to);
    assert_non_null(process);
    HANDLE pipe = evprocess_iocp_take_pipe(process, 1);
    assert_non_null(pipe);
    assert_null(evprocess_iocp_take_pipe(process, 1));
    assert_null(evprocess_iocp_take_pipe(process, 0));
    assert_null(evprocess_iocp_take_pipe(process, 3));
    std::string output = read_to_end(pipe);
    assert_true(run_loop());
    assert_int_equal(to.count, 1);
    assert_int_equal(to.code, 0);
    evprocess_iocp_free(process);
    return output;
}

} // namespace real
