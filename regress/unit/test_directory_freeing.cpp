// Watches that are let go, on the fake kernel: in every state, from within callbacks and by another thread, before their
// base and after it. Nothing is told from then on, and nothing is left.
#include "support/check.h"

#include "support/strict_locks.h"
#include "support/watching.h"

using namespace iocp;
using namespace iocp::one_directory;

namespace {

void freed_in_its_callback(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    w.when_called = free_watch;
    fake::change_directory(L"d", {{1, L"a"}});
    assert_string_equal(told_by_turns(1).c_str(), "+a");
    fake::change_directory(L"d", {{1, L"b"}});
    assert_string_equal(told_by_turns().c_str(), "");
}

void freed_in_another_ones_callback(void **)
{
    watching other = {};
    assert_true(watch_directory(&other, base, "d"));
    assert_true(watch_directory(&w, base, "d"));
    other.when_called = free_watch;
    fake::change_directory(L"d", {{1, L"a"}}); // both are about to be told
    assert_string_equal(told_by_turns().c_str(), "");
    assert_string_equal(all_told(&other).c_str(), "+a");
    evdirwatch_iocp_free(other.watch);
}

void freed_in_every_state(void **)
{
    for (auto way : {fake::cancel_way::wins, fake::cancel_way::loses}) {
        fake::set_cancel_way(way);
        w = {};
        assert_true(watch_directory(&w, base, "d")); // its read is in flight
        free_watch();
        told_by_turns();
        w = {};
        assert_true(watch_directory(&w, base, "d")); // has ended, and its packet is not taken
        fake::change_directory(L"d", {{1, L"a"}});
        free_watch();
        told_by_turns();
        w = {};
        assert_true(watch_directory(&w, base, "d")); // is cancelled, and the kernel takes its time
        fake::hold_cancelled(true);
        free_watch();
        told_by_turns();
        assert_int_equal(fake::operations_in_flight(), 1);
        fake::hold_cancelled(false);
        told_by_turns();
        w = {};
        assert_true(watch_directory(&w, base, "d")); // its packet is late
        fake::hold_packets(true);
        fake::change_directory(L"d", {{1, L"a"}});
        free_watch();
        told_by_turns();
        fake::release_all();
        fake::hold_packets(false);
        told_by_turns();
        assert_int_equal(fake::operations_in_flight(), 0);
    }
    evdirwatch_iocp_free(nullptr);
}

void the_base_goes_first(void **)
{
    watching more[4] = {};
    fake::make_directory(L"e");
    fake::make_directory(L"f");
    assert_true(watch_directory(&w, base, "d"));
    assert_true(watch_directory(&more[0], base, "d"));
    assert_true(watch_directory(&more[1], base, "e")); // is over
    fake::delete_directory(L"e");
    told_by_turns();
    assert_true(more[1].over);
    assert_true(watch_directory(&more[2], base, "f")); // waits for a new name, by a timer
    fake::change_directory(L"f", {{4, L"a"}});
    told_by_turns();
    assert_true(watch_directory(&more[3], base, "f")); // waits to start
    fake::answer_read(L"f", fake::fate_shortage, "");
    fake::answer_read(L"f", fake::fate_shortage, "");
    told_by_turns();
    fake::change_directory(L"d", {{1, L"a"}}); // a packet is there
    evdirwatch_iocp_free(more[0].watch);
    for (watching &one : more)
        one.over = true;
    w.over = true;
    event_base_free(base);
    base = nullptr;
    assert_int_equal(fake::directories_open(), 0);
    evdirwatch_iocp_free(w.watch);
    for (int i = 1; i < 4; ++i)
        evdirwatch_iocp_free(more[i].watch);
}

void the_base_goes_with_a_callback_due(void **)
{
    watching other = {};
    event_base_priority_init(base, 2); // both packets are taken in one turn
    assert_true(watch_directory(&other, base, "d"));
    assert_true(watch_directory(&w, base, "d"));
    other.when_called = []() { event_base_loopbreak(base); };
    fake::change_directory(L"d", {{1, L"a"}});
    event_base_dispatch(base);
    assert_int_equal(other.calls, 1);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 1);
    event_base_free(base);
    base = nullptr;
    evdirwatch_iocp_free(w.watch);
    evdirwatch_iocp_free(other.watch);
    assert_int_equal(w.calls, 0);
}

void a_base_stays_while_it_watches(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::at(fake::now_us() + 3000000, []() { fake::change_directory(L"d", {{1, L"a"}}); });
    w.when_called = free_watch;
    assert_int_equal(event_base_dispatch(base), 1); // for want of events, when it is freed
    assert_int_equal(w.calls, 1);
}

void another_thread_frees(void **)
{
    assert_true(watch_directory(&w, base, "d"));
    fake::at(fake::now_us() + 1000, []() {
        fake::change_directory(L"d", {{1, L"a"}}); // its packet is taken in the same wait
        free_watch();
    });
    assert_int_equal(event_base_dispatch(base), 1);
    assert_int_equal(w.calls, 0);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        ONE(freed_in_its_callback), ONE(freed_in_another_ones_callback),    ONE(freed_in_every_state),
        ONE(the_base_goes_first),   ONE(the_base_goes_with_a_callback_due), ONE(a_base_stays_while_it_watches),
        ONE(another_thread_frees),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
