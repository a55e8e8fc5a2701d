// A directory watch on the fake kernel, and another thread that takes its packet between its timer and its callback.
#include "support/check.h"

#include "support/meanwhile.h"
#include "support/watching.h"

using namespace iocp;
using namespace iocp::one_directory;

namespace {

void take_packets()
{
    meanwhile_take_packets(base);
}

void an_old_name_that_has_just_come_waits_for_its_new_one(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::change_directory(L"d", {{4, L"a"}});
    assert_string_equal(told_by_turns().c_str(), "");
    fake::advance_us(1500 * 1000);
    fake::hold_packets(true);
    fake::change_directory(L"d", {{4, L"c"}});
    meanwhile_do(base, take_packets);
    turn(base);
    fake::hold_packets(false);
    fake::release_all();
    assert_true(meanwhile_done());
    assert_string_equal(told_by_turns().c_str(), "-a");
    fake::change_directory(L"d", {{5, L"d"}});
    assert_string_equal(told_by_turns().c_str(), "c>d");
    free_watch();
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        ONE(an_old_name_that_has_just_come_waits_for_its_new_one),
    };
    meanwhile_start();
    return cmocka_run_group_tests_name("directory_threads", tests, nullptr, nullptr);
}
