// Child processes on the fake kernel: each order of end, kill, free and the base's end, and each call that fails.
#include "support/handle_waits.h"

#include <initializer_list>

#include "support/guard.h"
#include "support/strict_locks.h"

using namespace iocp;
using namespace iocp::waits;

namespace {

struct ended {
    int count;
    ev_uint32_t code;
    bool frees;
};

void on_end(struct evprocess *process, ev_uint32_t exit_code, void *argument)
{
    auto *to = static_cast<ended *>(argument);
    ++to->count;
    to->code = exit_code;
    if (to->frees)
        evprocess_iocp_free(process);
}

struct evprocess *spawn(ended *to)
{
    const char *const argv[] = {"program.exe", "a b", nullptr};
    const char *const environment[] = {"B=2", "a=1", nullptr};
    struct evprocess_iocp_options options = {};
    options.size = sizeof(options);
    options.argv = argv;
    options.environment = environment;
    options.directory = "C:\\";
    return evprocess_iocp_spawn(base, &options, on_end, to);
}

void its_end_is_told_once(void **)
{
    ended to = {};
    struct evprocess *process = spawn(&to);
    assert_non_null(process);
    assert_int_equal(fake::children_running(), 1);
    turns(2);
    assert_int_equal(to.count, 0);
    fake::child_ends(evprocess_iocp_get_pid(process), 9);
    assert_int_equal(to.count, 0);
    assert_int_equal(event_base_dispatch(base), 1);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.code, 9);
    turns(2);
    assert_int_equal(to.count, 1);
    evprocess_iocp_free(process);
}

void nobody_is_told(void **)
{
    struct evprocess_iocp_options options = {};
    options.size = sizeof(options);
    options.command_line = "program.exe";
    struct evprocess *process = evprocess_iocp_spawn(base, &options, nullptr, nullptr);
    assert_non_null(process);
    assert_int_equal(fake::children_running(), 1);
    assert_int_equal(event_base_dispatch(base), 1); // nothing to wait for
    fake::child_ends(evprocess_iocp_get_pid(process), 1);
    turns(2);
    evprocess_iocp_free(process);
}

void a_kill_is_told_from_the_loop(void **)
{
    ended to = {};
    to.frees = true;
    struct evprocess *process = spawn(&to);
    assert_int_equal(evprocess_iocp_kill(process, 5), 0);
    assert_int_equal(to.count, 0);
    assert_int_equal(evprocess_iocp_kill(process, 6), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_ACCESS_DENIED);
    turns(3);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.code, 5);
}

void freed_before_its_end_or_before_it_is_told(void **)
{
    for (bool ends : {false, true}) {
        for (bool holds : {false, true}) {
            ended to = {};
            struct evprocess *process = spawn(&to);
            DWORD id = evprocess_iocp_get_pid(process);
            fake::hold_wait_threads(holds);
            if (ends)
                fake::child_ends(id, 1);
            evprocess_iocp_free(process);
            fake::hold_wait_threads(false);
            fake::child_ends(id, 1);
            turns(3);
            assert_int_equal(to.count, 0);
        }
    }
    assert_int_equal(fake::children_running(), 0);
}

void others_end_it_before_it_runs(void **)
{
    ended to = {};
    to.frees = true;
    fake::next_child_ends_before_it_runs(3);
    assert_non_null(spawn(&to));
    assert_int_equal(to.count, 0); // not from within
    turns(3);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.code, 3);
}

void a_base_is_freed_first(void **)
{
    ended to = {};
    struct evprocess *running = spawn(&to), *over = spawn(&to);
    fake::child_ends(evprocess_iocp_get_pid(over), 1);
    struct event_base *keeps = make_base(on_iocp); // handles are closed before the library is
    free_base();
    assert_int_equal(fake::operations_in_flight(), 0);
    assert_int_equal(evprocess_iocp_kill(running, 1), 0);
    evprocess_iocp_free(running);
    evprocess_iocp_free(over);
    assert_int_equal(to.count, 0);
    event_base_free(keeps);
}

struct late {
    int asked;
    struct evprocess *started;
    int error;
};

void spawn_late(const void *sent, size_t, void *argument)
{
    mm_free(const_cast<void *>(sent));
    auto *self = static_cast<late *>(argument);
    struct evprocess_iocp_options options = {};
    options.size = sizeof(options);
    options.command_line = "program.exe";
    WSASetLastError(0);
    self->started = evprocess_iocp_spawn(base, &options, nullptr, nullptr);
    self->error = EVUTIL_SOCKET_ERROR();
    ++self->asked;
}

// By the cleanup of what a send had, which the free of the base ends. Nobody would be told of the child.
void none_starts_while_its_base_is_freed(void **)
{
    constexpr size_t length = 3000;
    late one = {};
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    struct bufferevent *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    fake::set_send_room(socket, 0);
    evbuffer_add_reference(bufferevent_get_output(bev), mm_calloc(1, length), length, spawn_late, &one);
    turns(2);
    bufferevent_free(bev);
    assert_int_equal(one.asked, 0);
    free_base();
    assert_int_equal(one.asked, 1);
    assert_null(one.started);
    assert_int_equal(one.error, WSAEOPNOTSUPP);
    assert_int_equal(fake::children_started(), 0);
}

void nothing_is_left_where_a_call_fails(void **)
{
    const struct {
        fake::call which;
        int error;
        int told;
        size_t children;
    } cases[] = {
        {fake::call::null_device_open, ERROR_TOO_MANY_OPEN_FILES, ERROR_TOO_MANY_OPEN_FILES, 0},
        {fake::call::null_device_open, ERROR_NOT_ENOUGH_MEMORY, WSAENOBUFS, 0},
        {fake::call::process_create, ERROR_FILE_NOT_FOUND, ERROR_FILE_NOT_FOUND, 0},
        {fake::call::process_create, ERROR_NOT_ENOUGH_MEMORY, WSAENOBUFS, 0},
        {fake::call::process_create, ERROR_COMMITMENT_LIMIT, WSAENOBUFS, 0},
        {fake::call::wait_duplicate, ERROR_NO_SYSTEM_RESOURCES, WSAENOBUFS, 1},
        {fake::call::wait_start, ERROR_NO_SYSTEM_RESOURCES, WSAENOBUFS, 1},
        {fake::call::process_resume, ERROR_NO_SYSTEM_RESOURCES, WSAENOBUFS, 1},
        {fake::call::process_resume, ERROR_ACCESS_DENIED, ERROR_ACCESS_DENIED, 1},
    };
    ended to = {};
    evprocess_iocp_free(spawn(&to)); // libevent has its memory
    size_t handles = fake::handles_open();
    for (const auto &each : cases) {
        size_t before = fake::children_started();
        fake::fail_calls(each.which, each.error);
        assert_null(spawn(&to));
        assert_int_equal(EVUTIL_SOCKET_ERROR(), each.told);
        assert_int_equal(fake::children_started(), before + each.children);
        assert_int_equal(fake::children_suspended(), 0); // none that waits for ever
        turns(2);                                        // a packet may be on its way
        assert_int_equal(fake::handles_open(), handles);
    }
    assert_int_equal(to.count, 0);
}

void nothing_is_left_for_want_of_memory(void **)
{
    ended to = {};
    evprocess_iocp_free(spawn(&to));
    size_t handles = fake::handles_open();
    unsigned failed = 0;
    for (bool any = true; any; failed += any ? 1 : 0) {
        guard::fail_allocations(failed, 1);
        struct evprocess *process = spawn(&to);
        any = guard::failed_allocations() != 0;
        guard::fail_allocations(0, 0);
        if (any)
            assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAENOBUFS);
        assert_int_equal(process == nullptr, any);
        evprocess_iocp_free(process);
        assert_int_equal(fake::handles_open(), handles);
        assert_int_equal(fake::children_suspended(), 0);
    }
    assert_in_range(failed, 8, 99);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        WAIT_TEST(its_end_is_told_once),
        WAIT_TEST(nobody_is_told),
        WAIT_TEST(a_kill_is_told_from_the_loop),
        WAIT_TEST(freed_before_its_end_or_before_it_is_told),
        WAIT_TEST(others_end_it_before_it_runs),
        WAIT_TEST(a_base_is_freed_first),
        WAIT_TEST(none_starts_while_its_base_is_freed),
        WAIT_TEST(nothing_is_left_where_a_call_fails),
        WAIT_TEST(nothing_is_left_for_want_of_memory),
    };
    return cmocka_run_group_tests_name("child_process", tests, nullptr, nullptr);
}
