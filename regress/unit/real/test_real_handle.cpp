// Bufferevents over named pipes on the real kernel: bytes arrive, whole and in order, whatever pipe they go by and
// whoever is freed meanwhile; an end is an end, an error an error.
#include "real/pipe_pair.h"

using namespace real;

namespace {

constexpr int round_trips = 2500;
constexpr size_t bulk = 16 * 1024 * 1024;

void open_both(side *server, side *client, DWORD mode = PIPE_TYPE_BYTE, DWORD quota = 64 * 1024)
{
    pipe_ends ends = make_pipe(mode, quota);
    side_open(server, ends.server);
    side_open(client, ends.client);
}

void free_both(side *server, side *client)
{
    HANDLE handles[] = {reinterpret_cast<HANDLE>(bufferevent_getfd(server->bev)),
                        reinterpret_cast<HANDLE>(bufferevent_getfd(client->bev))};
    side_free(server);
    side_free(client);
    assert_true(gets_closed(handles[0]) && gets_closed(handles[1]));
}

void go_round(DWORD mode)
{
    side server, client;
    open_both(&server, &client, mode);
    server.echoes = true;
    std::string said;
    for (int i = 0; i < round_trips; ++i) {
        std::string word = "word " + std::to_string(i);
        said += word;
        side_write(&client, word);
        hear(&client, said.size());
    }
    assert_true(client.heard == said);
    free_both(&server, &client);
}

void round_trips_by_bytes(void **)
{
    go_round(PIPE_TYPE_BYTE);
}

void round_trips_by_messages(void **)
{
    go_round(PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
}

void move_much(DWORD mode, DWORD quota, size_t length)
{
    side server, client;
    open_both(&server, &client, mode, quota);
    std::string down = pattern(length, 1), up = pattern(length, 2);
    side_write(&server, down);
    side_write(&client, up);
    hear(&client, length);
    hear(&server, length);
    assert_true(client.heard == down);
    assert_true(server.heard == up);
    free_both(&server, &client);
}

void much_at_a_time_in_both_directions(void **)
{
    move_much(PIPE_TYPE_BYTE, 64 * 1024, bulk);
}

void much_through_a_small_pipe(void **)
{
    move_much(PIPE_TYPE_BYTE, 512, bulk / 16);
}

void much_by_messages(void **)
{
    move_much(PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, 4096, bulk / 8);
}

// Small ones and great ones, in one output.
void pieces_of_all_sizes(void **)
{
    side server, client;
    open_both(&server, &client);
    bufferevent_set_max_single_write(client.bev, 1024 * 1024);
    std::string said;
    for (unsigned i = 0; i < 300; ++i) {
        std::string piece = pattern(i % 7 == 0 ? 40000 : i * 13 % 3000 + 1, i);
        said += piece;
        struct evbuffer *made = evbuffer_new();
        evbuffer_add(made, piece.data(), piece.size());
        bufferevent_write_buffer(client.bev, made);
        evbuffer_free(made);
    }
    hear(&server, said.size());
    assert_true(server.heard == said);
    free_both(&server, &client);
}

void an_end_comes_after_the_bytes(void **)
{
    side server, client;
    open_both(&server, &client);
    side_write(&server, "the last words");
    turns(3);
    side_free(&server);
    wait_for_event(&client);
    assert_int_equal(client.what, BEV_EVENT_EOF | BEV_EVENT_READING);
    assert_string_equal(client.heard.c_str(), "the last words");
    side_free(&client);
    turns(3);
}

// More than the pipe holds, in flight when its bufferevent is freed: all of it arrives, and then the end.
void what_is_in_flight_arrives_though_it_is_freed(void **)
{
    side server, client;
    open_both(&server, &client, PIPE_TYPE_BYTE, 4096);
    std::string all = pattern(1024 * 1024, 3);
    bufferevent_set_max_single_write(client.bev, all.size());
    bufferevent_disable(server.bev, EV_READ);
    struct evbuffer *made = evbuffer_new();
    evbuffer_add(made, all.data(), all.size());
    bufferevent_write_buffer(client.bev, made);
    evbuffer_free(made);
    turns(10);
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(client.bev)), 0);
    side_free(&client);
    turns(5);
    bufferevent_enable(server.bev, EV_READ);
    wait_for_event(&server);
    assert_int_equal(server.what, BEV_EVENT_EOF | BEV_EVENT_READING);
    assert_true(server.heard == all);
    side_free(&server);
    turns(3);
}

void a_write_to_nobody_is_an_error(void **)
{
    side server, client;
    open_both(&server, &client);
    bufferevent_disable(server.bev, EV_READ);
    side_free(&client);
    turns(3);
    side_write(&server, "anybody there?");
    wait_for_event(&server);
    assert_int_equal(server.what, BEV_EVENT_ERROR | BEV_EVENT_WRITING);
    assert_true(server.error == ERROR_NO_DATA || server.error == ERROR_BROKEN_PIPE);
    side_free(&server);
    turns(3);
}

// Two messages of more than any first buffer; and one of none, which is no end.
void messages_are_bytes(void **)
{
    pipe_ends ends = make_pipe(PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
    side server;
    side_open(&server, ends.server);
    turns(3);
    std::string one = pattern(5000, 4), two = pattern(7, 5);
    for (const std::string &message : {one, std::string(), two}) {
        OVERLAPPED overlapped = {};
        overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
        DWORD written = 0;
        WriteFile(ends.client, message.data(), static_cast<DWORD>(message.size()), nullptr, &overlapped);
        assert_true(GetOverlappedResult(ends.client, &overlapped, &written, TRUE));
        CloseHandle(overlapped.hEvent);
        turns(2);
    }
    hear(&server, one.size() + two.size());
    assert_true(server.heard == one + two);
    assert_int_equal(server.what, 0);
    CloseHandle(ends.client);
    wait_for_event(&server);
    assert_int_equal(server.what, BEV_EVENT_EOF | BEV_EVENT_READING);
    side_free(&server);
    turns(3);
}

void a_child_is_heard_to_its_end(void **)
{
    pipe_ends ends = make_pipe_for_child();
    STARTUPINFOW startup = {};
    startup.cb = sizeof(startup);
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = startup.hStdOutput = startup.hStdError = ends.client;
    wchar_t command[] = L"cmd.exe /c \"for /l %i in (1,1,500) do @echo line %i\"";
    PROCESS_INFORMATION child;
    assert_true(CreateProcessW(nullptr, command, nullptr, nullptr, TRUE, 0, nullptr, nullptr, &startup, &child));
    CloseHandle(ends.client);
    CloseHandle(child.hThread);
    side server;
    side_open(&server, ends.server);
    wait_for_event(&server);
    assert_int_equal(server.what, BEV_EVENT_EOF | BEV_EVENT_READING);
    std::string expected;
    for (int i = 1; i <= 500; ++i)
        expected += "line " + std::to_string(i) + "\r\n";
    assert_string_equal(server.heard.c_str(), expected.c_str());
    WaitForSingleObject(child.hProcess, deadline_seconds * 1000);
    CloseHandle(child.hProcess);
    side_free(&server);
    turns(3);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trips_by_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(round_trips_by_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(much_at_a_time_in_both_directions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(much_through_a_small_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(much_by_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces_of_all_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_comes_after_the_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_flight_arrives_though_it_is_freed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_to_nobody_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_are_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_child_is_heard_to_its_end, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
