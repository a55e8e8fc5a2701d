// Child processes that end, or are ended, while they are started in another thread than the loop's, on the fake kernel.
#include "support/handle_waits.h"

#include "support/meanwhile.h"

using namespace iocp;
using namespace iocp::waits;

namespace {

struct ended {
    int count;
    ev_uint32_t code;
};

uint64_t waits_begun;

void on_end(struct evprocess *process, ev_uint32_t exit_code, void *argument)
{
    auto *to = static_cast<ended *>(argument);
    ++to->count;
    to->code = exit_code;
    evprocess_iocp_free(process);
}

struct evprocess *spawn(ended *to)
{
    const char *const argv[] = {"program.exe", nullptr};
    struct evprocess_iocp_options options = {};
    options.size = sizeof(options);
    options.argv = argv;
    options.flags = EVPROCESS_IOCP_PIPE_STDOUT;
    return evprocess_iocp_spawn(base, &options, on_end, to);
}

bool child_is_watched()
{
    return fake::calls(fake::call::wait_start) > waits_begun;
}

// What the loop and others do as soon as they can.
void the_child_ends_and_is_told_of()
{
    fake::child_ends(fake::last_child(), 3);
    turns(3);
}

void when_it_is_watched(void (*action)())
{
    waits_begun = fake::calls(fake::call::wait_start);
    meanwhile_do_when(base, child_is_watched, action);
}

void its_end_is_told_before_its_start_has_returned(void **)
{
    ended to = {};
    when_it_is_watched(the_child_ends_and_is_told_of);
    assert_non_null(spawn(&to)); // and it has been freed
    assert_true(meanwhile_done());
    assert_int_equal(to.count, 1);
    assert_int_equal(to.code, 3);
    assert_null(fake::complaint());
}

void it_was_ended_before_it_ran(void **)
{
    ended to = {};
    fake::next_child_ends_before_it_runs(4);
    when_it_is_watched([] { turns(3); });
    assert_non_null(spawn(&to));
    assert_true(meanwhile_done());
    assert_int_equal(to.count, 1);
    assert_int_equal(to.code, 4);
    assert_null(fake::complaint());
}

// It is ended then, and the loop sees that before its start has failed.
void it_cannot_run(void **)
{
    ended to = {};
    size_t handles = fake::handles_open();
    fake::fail_calls(fake::call::process_resume, ERROR_NO_SYSTEM_RESOURCES);
    when_it_is_watched(the_child_ends_and_is_told_of);
    assert_null(spawn(&to));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAENOBUFS);
    assert_true(meanwhile_done());
    assert_int_equal(to.count, 0);
    assert_null(fake::complaint());
    turns(2);
    assert_int_equal(to.count, 0);
    assert_int_equal(fake::handles_open(), handles);
    assert_int_equal(fake::children_suspended() + fake::children_running(), 0);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        WAIT_TEST(its_end_is_told_before_its_start_has_returned),
        WAIT_TEST(it_was_ended_before_it_ran),
        WAIT_TEST(it_cannot_run),
    };
    meanwhile_start();
    return cmocka_run_group_tests_name("child_process_threads", tests, nullptr, nullptr);
}
