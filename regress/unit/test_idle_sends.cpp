// Sends that have ended are kept for the next ones, so many of a base and no more, on the fake kernel.
#include "support/check.h"

#include <vector>

#include "support/guard.h"
#include "support/strict_locks.h"
#include "support/stuck_sends.h"

#include "backend/backend.h"
#include "bufferevent/send_operation.h"

using namespace iocp;
using namespace iocp::stuck_sends;

namespace {

// How many blocks are freed when the sends of these end: they have left their output, and nothing else is done.
size_t freed_by_the_end(const stuck *first, size_t count)
{
    size_t blocks = guard::live_blocks();
    for (size_t i = 0; i < count; ++i)
        fake::set_send_room(first[i].socket, SIZE_MAX);
    for (int turns = 0; turns < 3; ++turns)
        turn_to_port(base);
    return blocks - guard::live_blocks();
}

void so_many_are_kept(void **)
{
    std::vector<stuck> all;
    for (unsigned i = 0; i < max_idle_sends + 2; ++i)
        all.push_back(make_stuck(10));
    const idle_sends *idle = &backend_of(base)->streams.idle;
    assert_int_equal(idle->count, 0);
    size_t of_kept = freed_by_the_end(all.data(), max_idle_sends);
    assert_int_equal(idle->count, max_idle_sends);
    assert_int_equal(of_kept % max_idle_sends, 0);
    // What each frees of its output, and the send itself.
    assert_int_equal(freed_by_the_end(&all[max_idle_sends], 2), 2 * (of_kept / max_idle_sends + 1));
    assert_int_equal(idle->count, max_idle_sends);
    // The next ones are of those.
    bufferevent_write(all[0].bev, "again", 5);
    turn(base);
    assert_true(idle->count >= max_idle_sends - 1);
    for (const stuck &one : all)
        bufferevent_free(one.bev);
    turn_to_port(base);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(so_many_are_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("idle sends", tests, nullptr, nullptr);
}
