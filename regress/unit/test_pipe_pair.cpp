// A pipe for a child's standard handle, on the fake kernel: names that are taken, strangers that are quicker, shortages.
#include "support/check.h"

#include "support/fake_kernel.h"
#include "support/listening_pipe.h"

using namespace iocp;
using namespace iocp::listening_pipe;

namespace {

int make(void **ours, void **theirs)
{
    static int any;
    *ours = *theirs = &any;
    return evutil_iocp_pipe_pair(ours, theirs, 1);
}

void is_made(uint64_t tries)
{
    void *ours, *theirs;
    assert_int_equal(make(&ours, &theirs), 0);
    assert_int_equal(fake::calls(fake::call::pipe_create), tries);
    assert_int_equal(fake::handles_open(), 3); // and the base's port
    struct bufferevent *bev = bufferevent_iocp_handle_new(the.base, ours, BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(bev);
    bufferevent_free(bev);
    sys::close_handle(theirs);
}

void is_not_made(int error)
{
    void *ours, *theirs;
    WSASetLastError(0);
    assert_int_equal(make(&ours, &theirs), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
    assert_null(ours);
    assert_null(theirs);
    assert_int_equal(fake::handles_open(), 1);
}

void another_name_is_tried(void **)
{
    begin();
    is_made(1);
    end();
    begin();
    fake::fail_calls(fake::call::pipe_create, ERROR_ACCESS_DENIED, 3); // the name is somebody's
    is_made(4);
    end();
    begin();
    fake::set_quick_pipe_clients(2); // somebody has connected
    is_made(3);
    end();
}

void not_for_ever(void **)
{
    begin();
    fake::set_quick_pipe_clients(1000);
    is_not_made(ERROR_PIPE_BUSY);
    assert_in_range(fake::calls(fake::call::pipe_create), 2, 20);
    end();
}

void no_handles(void **)
{
    for (fake::call which : {fake::call::pipe_create, fake::call::pipe_open}) {
        begin();
        fake::fail_calls(which, ERROR_NO_SYSTEM_RESOURCES);
        is_not_made(ERROR_NO_SYSTEM_RESOURCES);
        end();
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(another_name_is_tried, set_up_kernel),
        cmocka_unit_test_setup(not_for_ever, set_up_kernel),
        cmocka_unit_test_setup(no_handles, set_up_kernel),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
