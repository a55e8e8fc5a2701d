// Child processes on the real kernel: this program itself, started with a role to play (child_roles.h), and cmd.exe.
#include <initializer_list>

#include "../real/accounting.h"
#include "real/child_roles.h"
#include "real/children.h"
#include "real/real_base.h"

#include "event2/iocp.h"

using namespace real;

namespace {

void exit_codes_are_told(void **)
{
    for (const char *code : {"0", "1", "259", "4294967295"}) // 259 is STILL_ACTIVE
        assert_int_equal(exit_code_of({"exit", code}, no_options()), strtoul(code, nullptr, 10));
}

void arguments_arrive_as_they_were(void **)
{
    const std::vector<const char *> words = {
        "arguments",
        "",
        " ",
        "a b",
        "tab\there",
        "\"",
        "\"\"",
        "a\"b",
        "\\",
        "\\\\",
        "a\\",
        "a b\\",
        "a\\\"b",
        "\\\\\"",
        "a\\\\b c",
        "\\\\server\\share\\",
        "%PATH%",
        "^caret&|",
        "new\nline",
        "\xC3\xA4",
        "\xF0\x9F\x98\x80",
        "'single'",
        "a\\\\\\\"",
        "last",
    };
    std::string wanted;
    for (size_t i = 1; i < words.size(); ++i)
        wanted.append(words[i], strlen(words[i]) + 1);
    std::string got = output_of(words, no_options());
    assert_int_equal(got.size(), wanted.size());
    assert_memory_equal(got.data(), wanted.data(), wanted.size());
}

void input_goes_in_and_comes_back(void **)
{
    ended to = {};
    struct evprocess_iocp_options options = no_options();
    options.flags = EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT;
    struct evprocess *process = spawn({"copy"}, options, &to);
    HANDLE in = evprocess_iocp_take_pipe(process, 0), out = evprocess_iocp_take_pipe(process, 1);
    char text[] = "there and back";
    assert_int_equal(move(in, false, text, sizeof(text)), sizeof(text));
    CloseHandle(in); // its end
    assert_string_equal(read_to_end(out).c_str(), text);
    assert_true(run_loop());
    assert_int_equal(to.code, 0);
    evprocess_iocp_free(process);
}

void what_is_no_pipe_is_nul(void **)
{
    assert_int_equal(exit_code_of({"copy"}, no_options()), 0); // reads an end at once
    assert_string_equal(output_of({"copy"}, no_options()).c_str(), "");
    assert_string_equal(output_of({"both"}, no_options()).c_str(), "output");
    struct evprocess_iocp_options options = no_options();
    options.flags = EVPROCESS_IOCP_STDERR_TO_STDOUT;
    assert_string_equal(output_of({"both"}, options).c_str(), "outputerror");
}

void directory_and_environment(void **)
{
    struct evprocess_iocp_options options = no_options();
    options.directory = "C:\\windows";
    std::string directory = output_of({"directory"}, options);
    assert_int_equal(_stricmp(directory.c_str(), "C:\\windows"), 0);
    const char *const entries[] = {"zeta=last", "OTHER=\xC3\xBC=b", "=C:=C:\\", "Empty=", nullptr};
    options.environment = entries;
    assert_string_equal(output_of({"variable", "other"}, options).c_str(), "\xC3\xBC=b");
    assert_string_equal(output_of({"variable", "ZETA"}, options).c_str(), "last");
    assert_string_equal(output_of({"variable", "PATH"}, options).c_str(), "(none)");
    assert_string_not_equal(output_of({"variable", "SystemRoot"}, options).c_str(), "(none)");
    const char *const nothing[] = {nullptr};
    SetEnvironmentVariableW(L"INHERITED", L"yes");
    options.environment = nothing;
    assert_string_equal(output_of({"variable", "INHERITED"}, options).c_str(), "(none)");
    options.environment = nullptr;
    assert_string_equal(output_of({"variable", "INHERITED"}, options).c_str(), "yes");
}

// An event that any child would inherit, and this one does not: it could set it.
void nothing_else_is_inherited(void **)
{
    SECURITY_ATTRIBUTES inherited = {sizeof(inherited), nullptr, TRUE};
    HANDLE event = CreateEventW(&inherited, TRUE, FALSE, nullptr);
    char value[32];
    evutil_snprintf(value, sizeof(value), "%llu", static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(event)));
    assert_int_equal(exit_code_of({"handle", value}, no_options()), 0);
    struct evprocess_iocp_options options = no_options();
    options.flags = EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT | EVPROCESS_IOCP_PIPE_STDERR;
    assert_int_equal(exit_code_of({"handle", value}, options), 0);
    assert_int_equal(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    // A child made without our list does: what is tested can fail.
    std::string command = "\"" + std::string(own_path) + "\" handle " + value;
    STARTUPINFOA startup = {};
    startup.cb = sizeof(startup);
    PROCESS_INFORMATION child;
    assert_true(CreateProcessA(nullptr, &command[0], nullptr, nullptr, TRUE, 0, nullptr, nullptr, &startup, &child));
    assert_int_equal(WaitForSingleObject(child.hProcess, limit_ms), WAIT_OBJECT_0);
    DWORD code = 0;
    GetExitCodeProcess(child.hProcess, &code);
    assert_int_equal(code, 1);
    for (HANDLE each : {child.hProcess, child.hThread, event})
        CloseHandle(each);
}

void kill_and_free(void **)
{
    ended to = {};
    struct evprocess *process = spawn({"sleep"}, no_options(), &to);
    assert_non_null(process);
    HANDLE watched = OpenProcess(SYNCHRONIZE, FALSE, evprocess_iocp_get_pid(process));
    assert_non_null(watched);
    assert_int_equal(evprocess_iocp_kill(process, 77), 0);
    assert_true(run_loop());
    assert_int_equal(to.code, 77);
    assert_int_equal(evprocess_iocp_kill(process, 1), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_ACCESS_DENIED);
    evprocess_iocp_free(process);
    CloseHandle(watched);

    // Freed, it runs on, and nobody is told of its end.
    to = {};
    process = spawn({"sleep"}, no_options(), &to);
    watched = OpenProcess(SYNCHRONIZE | PROCESS_TERMINATE, FALSE, evprocess_iocp_get_pid(process));
    evprocess_iocp_free(process);
    assert_int_equal(WaitForSingleObject(watched, 0), WAIT_TIMEOUT);
    assert_true(TerminateProcess(watched, 0));
    assert_int_equal(WaitForSingleObject(watched, limit_ms), WAIT_OBJECT_0);
    look();
    assert_int_equal(to.count, 0);
    CloseHandle(watched);
}

void freed_with_its_pipes_and_after_its_base(void **state)
{
    struct evprocess_iocp_options options = no_options();
    options.flags = EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT | EVPROCESS_IOCP_PIPE_STDERR;
    ended to = {};
    struct evprocess *process = spawn({"copy"}, options, &to); // ends when its input is closed
    HANDLE watched = OpenProcess(SYNCHRONIZE, FALSE, evprocess_iocp_get_pid(process));
    event_base_free(base);
    evprocess_iocp_free(process);
    assert_int_equal(WaitForSingleObject(watched, limit_ms), WAIT_OBJECT_0);
    assert_int_equal(to.count, 0);
    CloseHandle(watched);
    assert_int_equal(set_up(state), 0);
}

void cmd_and_hidden_or_detached(void **)
{
    ended to = {};
    for (unsigned flags : {0u, unsigned{EVPROCESS_IOCP_HIDE}, unsigned{EVPROCESS_IOCP_DETACH}}) {
        struct evprocess_iocp_options options = no_options();
        options.command_line = "cmd.exe /c echo \"one two\"& exit 5";
        options.flags = flags | EVPROCESS_IOCP_PIPE_STDOUT;
        struct evprocess *process = evprocess_iocp_spawn(base, &options, on_end, &to);
        assert_non_null(process);
        std::string output = read_to_end(evprocess_iocp_take_pipe(process, 1));
        assert_true(run_loop());
        assert_int_equal(to.code, 5);
        assert_string_equal(output.c_str(), "\"one two\"\r\n");
        evprocess_iocp_free(process);
    }
}

void refuses(struct event_base *on, const struct evprocess_iocp_options &options, int error)
{
    WSASetLastError(0);
    assert_null(evprocess_iocp_spawn(on, &options, on_end, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
}

void refuses_line(const char *command_line, int error)
{
    struct evprocess_iocp_options options = no_options();
    options.command_line = command_line;
    options.flags = EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT;
    refuses(base, options, error);
}

void refuses_argv(const char *first, const char *second, int error)
{
    const char *const argv[] = {first, second, nullptr};
    struct evprocess_iocp_options options = no_options();
    options.argv = argv;
    options.flags = EVPROCESS_IOCP_PIPE_STDOUT;
    refuses(base, options, error);
}

void refuses_what_cannot_be(void **)
{
    struct evprocess_iocp_options options = no_options();
    refuses(base, options, WSAEINVAL);
    const char *const argv[] = {"a", nullptr};
    options.argv = argv;
    options.command_line = "a";
    refuses(base, options, WSAEINVAL);
    options.argv = nullptr;
    options.flags = 0x8000;
    refuses(base, options, WSAEINVAL);
    options.flags = EVPROCESS_IOCP_PIPE_STDERR | EVPROCESS_IOCP_STDERR_TO_STDOUT;
    refuses(base, options, WSAEINVAL);
    options.flags = 0;
    const char *const nameless[] = {"=", nullptr};
    options.environment = nameless;
    refuses(base, options, WSAEINVAL);
    options = no_options();
    options.size = 0;
    refuses(base, options, WSAEINVAL);
    options = no_options();
    options.command_line = "a";
    struct event_config *config = event_config_new();
    event_config_avoid_method(config, "iocp");
    struct event_base *plain = event_base_new_with_config(config);
    event_config_free(config);
    refuses(plain, options, WSAEOPNOTSUPP);
    refuses(nullptr, options, WSAEOPNOTSUPP);
    event_base_free(plain);
}

void refused_by_windows(void **)
{
    unsigned long handles = accounting::open_handles();
    std::string longest(40000, 'a');
    for (int round = 0; round < 2; ++round) {
        refuses_line("no-such-program-anywhere --help", ERROR_FILE_NOT_FOUND);
        refuses_line("C:\\no-such-program.exe", ERROR_FILE_NOT_FOUND);
        refuses_line("", WSAEINVAL);
        refuses_line("\xC3", ERROR_NO_UNICODE_TRANSLATION);
        refuses_line(longest.c_str(), ERROR_FILENAME_EXCED_RANGE);
        refuses_argv("a", longest.c_str(), ERROR_FILENAME_EXCED_RANGE);
        refuses_argv("a", "\xFF", ERROR_NO_UNICODE_TRANSLATION);
        refuses_argv("no-such-program", "a", ERROR_FILE_NOT_FOUND);
        refuses_argv("quo\"te", "a", WSAEINVAL);
        for (const char *batch : {"run.bat", "C:\\run.CMD", "run.bat. ."})
            refuses_argv(batch, "\"&calc", WSAEINVAL);
        if (round == 0)
            handles = accounting::open_handles();
    }
    assert_int_equal(accounting::open_handles(), handles);
    assert_int_equal(event_base_dispatch(base), 1); // nothing to wait for
}

void nothing_is_left_of_many(void **)
{
    struct evprocess_iocp_options options = no_options();
    options.flags = EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT;
    exit_code_of({"exit", "0"}, options);
    unsigned long handles = accounting::open_handles();
    size_t blocks = accounting::live_blocks();
    for (int i = 0; i < 50; ++i)
        assert_int_equal(exit_code_of({"exit", "3"}, options), 3);
    assert_int_equal(accounting::open_handles(), handles);
    assert_int_equal(accounting::live_blocks(), blocks);
}

void many_at_once(void **)
{
    constexpr int many = 20;
    struct evprocess *children[many];
    ended to = {};
    for (auto &child : children) {
        child = spawn({"exit", "4"}, no_options(), &to);
        assert_non_null(child);
    }
    while (to.count < many)
        assert_true(run_loop());
    for (struct evprocess *child : children)
        evprocess_iocp_free(child);
}

void freed_by_its_callback(void **)
{
    struct evprocess_iocp_options options = no_options();
    const char *const argv[] = {own_path, "exit", "1", nullptr};
    options.argv = argv;
    auto frees = [](struct evprocess *process, ev_uint32_t, void *) { evprocess_iocp_free(process); };
    assert_non_null(evprocess_iocp_spawn(base, &options, frees, nullptr));
    assert_true(event_base_dispatch(base) == 1); // and nothing is left to wait for
}

} // namespace

int main()
{
    int exit_code;
    if (play_role(&exit_code))
        return exit_code;
    find_own_path();
#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(exit_codes_are_told),
        PROCESS_TEST(arguments_arrive_as_they_were),
        PROCESS_TEST(input_goes_in_and_comes_back),
        PROCESS_TEST(what_is_no_pipe_is_nul),
        PROCESS_TEST(directory_and_environment),
        PROCESS_TEST(nothing_else_is_inherited),
        PROCESS_TEST(kill_and_free),
        PROCESS_TEST(freed_with_its_pipes_and_after_its_base),
        PROCESS_TEST(cmd_and_hidden_or_detached),
        PROCESS_TEST(refuses_what_cannot_be),
        PROCESS_TEST(refused_by_windows),
        PROCESS_TEST(nothing_is_left_of_many),
        PROCESS_TEST(many_at_once),
        PROCESS_TEST(freed_by_its_callback),
    };
    accounting::start();
    start();
    return cmocka_run_group_tests_name("real_processes", tests, nullptr, nullptr);
}
