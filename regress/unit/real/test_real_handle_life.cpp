// On the real kernel: what is no byte stream for a port is refused, by the documented error each, and stays as it was; a
// handle is its program's again; what libevent lays over or around a bufferevent works over a pipe.
#include "real/pipe_pair.h"

using namespace real;

namespace {

void check_refused(HANDLE handle, long error)
{
    WSASetLastError(0);
    struct bufferevent *bev = bufferevent_iocp_handle_new(base, handle, BEV_OPT_CLOSE_ON_FREE);
    assert_null(bev);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
    turns(2);
}

// The same, and it is there still.
void check_refused_and_close(HANDLE handle, long error)
{
    assert_true(handle != nullptr && handle != INVALID_HANDLE_VALUE);
    check_refused(handle, error);
    assert_true(handle_is_open(handle));
    CloseHandle(handle);
}

HANDLE file_of_a_disk(DWORD flags)
{
    wchar_t folder[MAX_PATH], name[MAX_PATH];
    assert_true(GetTempPathW(MAX_PATH, folder) != 0);
    assert_true(GetTempFileNameW(folder, L"evh", 0, name) != 0);
    return CreateFileW(name, GENERIC_READ | GENERIC_WRITE | DELETE, FILE_SHARE_DELETE, nullptr, CREATE_ALWAYS,
                       flags | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
}

void what_is_no_stream_is_refused(void **)
{
    check_refused(nullptr, ERROR_INVALID_HANDLE);
    check_refused_and_close(CreateMutexW(nullptr, FALSE, nullptr), ERROR_INVALID_HANDLE);
    check_refused_and_close(CreateEventW(nullptr, FALSE, FALSE, nullptr), ERROR_INVALID_HANDLE);
    check_refused_and_close(file_of_a_disk(FILE_FLAG_OVERLAPPED), ERROR_NOT_SUPPORTED);
    check_refused_and_close(file_of_a_disk(0), ERROR_NOT_SUPPORTED);
    HANDLE closed = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    CloseHandle(closed);
    check_refused(closed, ERROR_INVALID_HANDLE);
}

void what_is_not_overlapped_is_refused(void **)
{
    HANDLE ends[2];
    assert_true(CreatePipe(&ends[0], &ends[1], nullptr, 0));
    check_refused_and_close(ends[0], ERROR_INVALID_PARAMETER);
    check_refused_and_close(ends[1], ERROR_INVALID_PARAMETER);
    pipe_ends pipe = make_pipe_for_child();
    check_refused_and_close(pipe.client, ERROR_INVALID_PARAMETER);
    CloseHandle(pipe.server);
}

void a_pipe_that_does_not_wait_is_refused(void **)
{
    pipe_ends pipe = make_pipe();
    DWORD mode = PIPE_NOWAIT;
    if (SetNamedPipeHandleState(pipe.server, &mode, nullptr, nullptr)) // Wine 8 has no such mode
        check_refused(pipe.server, ERROR_NOT_SUPPORTED);
    CloseHandle(pipe.server);
    CloseHandle(pipe.client);
}

void a_socket_is_refused(void **)
{
    struct sockaddr_in address;
    evutil_socket_t socket = bound(SOCK_STREAM, &address);
    check_refused(reinterpret_cast<HANDLE>(socket), WSAESOCKTNOSUPPORT);
    assert_int_equal(evutil_closesocket(socket), 0);
}

void one_of_another_port_is_refused(void **)
{
    pipe_ends pipe = make_pipe();
    HANDLE port = CreateIoCompletionPort(pipe.server, nullptr, 7, 0);
    assert_non_null(port);
    check_refused_and_close(pipe.server, ERROR_INVALID_PARAMETER);
    CloseHandle(pipe.client);
    CloseHandle(port);
}

void a_console_is_refused(void **)
{
    AllocConsole();
    HANDLE console = CreateFileW(L"CONIN$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr,
                                 OPEN_EXISTING, FILE_FLAG_OVERLAPPED, nullptr);
    if (console == INVALID_HANDLE_VALUE)
        skip();
    check_refused_and_close(console, ERROR_NOT_SUPPORTED);
}

void a_base_on_select_is_refused(void **)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *on_select = event_base_new_with_config(config);
    event_config_free(config);
    pipe_ends pipe = make_pipe();
    for (struct event_base *whose : {on_select, static_cast<struct event_base *>(nullptr)}) {
        assert_null(bufferevent_iocp_handle_new(whose, pipe.server, 0));
        assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEOPNOTSUPP);
    }
    event_base_free(on_select);
    CloseHandle(pipe.server);
    CloseHandle(pipe.client);
}

std::string read_by_hand(HANDLE handle)
{
    OVERLAPPED overlapped = {};
    overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    // The low bit: no packet for a port, be the handle on one still.
    HANDLE told = overlapped.hEvent;
    overlapped.hEvent = reinterpret_cast<HANDLE>(reinterpret_cast<uintptr_t>(told) | 1);
    char bytes[64];
    DWORD count = 0;
    ReadFile(handle, bytes, sizeof(bytes), nullptr, &overlapped);
    assert_int_equal(WaitForSingleObject(told, deadline_seconds * 1000), WAIT_OBJECT_0);
    assert_true(GetOverlappedResult(handle, &overlapped, &count, FALSE));
    CloseHandle(told);
    return std::string(bytes, count);
}

// A second bufferevent, and the program itself, read on where the first one stopped.
void it_is_its_programs_again(void **)
{
    pipe_ends pipe = make_pipe();
    side peer, one;
    side_open(&peer, pipe.client);
    for (const char *word : {"for the first", "for the second"}) {
        side_open(&one, pipe.server, 0);
        side_write(&peer, word);
        hear(&one, strlen(word));
        assert_string_equal(one.heard.c_str(), word);
        bufferevent_disable(one.bev, EV_READ);
        side_free(&one);
        turns(3);
        assert_true(handle_is_open(pipe.server));
    }
    side_open(&one, pipe.server, 0);
    turns(3);
    bufferevent_disable(one.bev, EV_READ);
    side_write(&peer, "for itself");
    turns(3);
    side_free(&one);
    assert_string_equal(read_by_hand(pipe.server).c_str(), "for itself");
    CloseHandle(pipe.server);
    wait_for_event(&peer);
    assert_int_equal(peer.what & BEV_EVENT_EOF, BEV_EVENT_EOF);
    side_free(&peer);
    assert_true(gets_closed(pipe.client));
}

void evutil_closesocket_closes_it(void **)
{
    pipe_ends pipe = make_pipe();
    side peer, one;
    side_open(&peer, pipe.client);
    side_open(&one, pipe.server);
    side_write(&one, "the last words");
    turns(3);
    assert_int_equal(evutil_closesocket(reinterpret_cast<evutil_socket_t>(pipe.server)), 0);
    bufferevent_setfd(one.bev, -1);
    side_free(&one);
    wait_for_event(&peer);
    assert_string_equal(peer.heard.c_str(), "the last words");
    assert_true(gets_closed(pipe.server));
    side_free(&peer);
    assert_true(gets_closed(pipe.client));
}

void it_can_be_given_another(void **)
{
    pipe_ends pipes[2] = {make_pipe(), make_pipe()};
    side one, peers[2];
    side_open(&one, INVALID_HANDLE_VALUE);
    for (int i = 0; i < 2; ++i) {
        side_open(&peers[i], pipes[i].client);
        assert_int_equal(bufferevent_setfd(one.bev, reinterpret_cast<evutil_socket_t>(pipes[i].server)), 0);
        side_write(&peers[i], "word");
        hear(&one, 4 * static_cast<size_t>(i + 1));
    }
    assert_true(handle_is_open(pipes[0].server)); // its program's
    CloseHandle(pipes[0].server);
    side_free(&one);
    assert_true(gets_closed(pipes[1].server));
    for (int i = 0; i < 2; ++i) {
        side_free(&peers[i]);
        assert_true(gets_closed(pipes[i].client));
    }
}

// Its peer never reads, and is told nothing any more; the handle is closed within the limit.
void a_peer_that_does_not_read_holds_it_no_longer_than_it_may(void **)
{
    struct timeval limit = {0, 200 * 1000};
    assert_int_equal(event_base_iocp_set_lingering(base, &limit, 1 << 20), 0);
    pipe_ends pipe = make_pipe(PIPE_TYPE_BYTE, 4096);
    side one;
    side_open(&one, pipe.server);
    side_write(&one, pattern(100000, 1));
    turns(3);
    side_free(&one);
    turns(3);
    assert_true(handle_is_open(pipe.server));
    assert_true(gets_closed(pipe.server));
    CloseHandle(pipe.client);
}

void a_base_is_freed_with_all_in_flight(void **)
{
    pipe_ends pipe = make_pipe(PIPE_TYPE_BYTE, 512);
    side one;
    side_open(&one, pipe.server);
    side_write(&one, pattern(10000, 1));
    turns(3);
    side_free(&one);
    event_base_free(base);
    assert_false(handle_is_open(pipe.server));
    CloseHandle(pipe.client);
    assert_int_equal(set_up(nullptr), 0);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_stream_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_overlapped_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_that_does_not_wait_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_of_another_port_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_console_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_on_select_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_its_programs_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evutil_closesocket_closes_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_can_be_given_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_does_not_read_holds_it_no_longer_than_it_may, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_is_freed_with_all_in_flight, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
