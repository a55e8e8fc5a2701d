// A listener on a pipe, on the fake kernel: freed, cancelled and left alone at each of its moments.
#include "support/check.h"

#include "support/fake_file.h"
#include "support/fake_kernel.h"
#include "support/listening_pipe.h"
#include "support/strict_locks.h"

using namespace iocp;
using namespace iocp::listening_pipe;

namespace {

// A thread that ends takes the operations that it has started along.
void the_starting_thread_ends(void **)
{
    begin();
    listen(2);
    fake::end_starting_thread();
    turns(3);
    assert_int_equal(fake::operations_in_flight(), 2);
    assert_int_equal(the.errors.size(), 0);
    assert_int_equal(fake::client_opens(path), 0);
    turns(2);
    assert_int_equal(the.told.size(), 1);
    end();
}

enum class state { waits, client_comes, packet_waits, packet_taken, told, cancel_is_late, count };

void reach(state wanted)
{
    fake::hold_packets(wanted == state::packet_waits);
    if (wanted == state::client_comes)
        fake::set_cancel_way(fake::cancel_way::loses);
    if (wanted == state::cancel_is_late)
        fake::hold_cancelled(true);
    if (wanted == state::packet_waits || wanted == state::packet_taken || wanted == state::told)
        assert_int_equal(fake::client_opens(path), 0);
    if (wanted == state::packet_taken) {
        evpipelistener_iocp_disable(the.listener);
        turn_to_port(the.base);
        evpipelistener_iocp_enable(the.listener);
    }
    if (wanted == state::told)
        the.when_told = free_listener;
}

void freed_in_every_state(void **)
{
    for (int which = 0; which < static_cast<int>(state::count); ++which)
        for (uint64_t seed = 1; seed <= 20; ++seed) {
            fake::chances odds = seed == 1 ? fake::no_chances : fake::all_chances;
            odds.shortage = 0;
            begin(odds, seed);
            listen(2);
            auto wanted = static_cast<state>(which);
            reach(wanted);
            if (wanted == state::told)
                turns(3);
            free_listener();
            assert_int_equal(the.told.size(), wanted == state::told);
            close_told();
            if (wanted != state::cancel_is_late && wanted != state::packet_waits)
                assert_int_equal(fake::instances_of(path), 0);
            fake::hold_packets(false);
            fake::release_all();
            fake::hold_cancelled(false);
            end();
        }
}

// What has the number of an instance then, and is on another port, is not taken for one of ours.
void its_numbers_are_somebody_elses(void **)
{
    begin();
    listen(1);
    HANDLE number = fake::k().pipes.begin()->first;
    free_listener();
    struct event_base *other = make_base(on_iocp);
    fake::open_file(sys::transport::pipe, 0, number);
    struct bufferevent *theirs = bufferevent_iocp_handle_new(other, number, BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(theirs);
    assert_null(bufferevent_iocp_handle_new(the.base, number, 0));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_INVALID_PARAMETER);
    bufferevent_free(theirs);
    event_base_free(other);
    end();
}

void another_thread_disables_the_last_that_the_loop_runs_for(void **)
{
    begin();
    listen();
    fake::at(fake::now_us() + 1000, [] {
        become_thread(other_thread);
        evpipelistener_iocp_disable(the.listener);
        become_thread(loop_thread);
    });
    assert_int_equal(event_base_dispatch(the.base), 1); // for want of events
    end();
}

// Its program must not do this, but nothing of the kernel's is left.
void the_base_goes_first(void **)
{
    for (bool with_client : {false, true}) {
        begin();
        listen(2);
        if (with_client)
            assert_int_equal(fake::client_opens(path), 0);
        event_base_free(the.base);
        assert_null(fake::complaint_after_base_free());
    }
}

void random_step()
{
    switch (fake::random() % 8) {
    case 0:
        evpipelistener_iocp_disable(the.listener);
        break;
    case 1:
    case 2:
        evpipelistener_iocp_enable(the.listener);
        break;
    case 3:
        fake::fail_calls(fake::call::pipe_create, ERROR_NO_SYSTEM_RESOURCES, 1 + fake::random() % 3);
        break;
    case 4:
        fake::end_starting_thread();
        break;
    case 5:
        fake::set_quick_pipe_clients(fake::random() % 3);
        break;
    default:
        turns(static_cast<int>(fake::random() % 8));
        break;
    }
}

// Everybody who was let in is told of, once.
void random_scripts(void **)
{
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        begin(fake::all_chances, seed);
        while (the.listener == nullptr)
            listen(static_cast<int>(1 + fake::random() % 4));
        for (int i = 0; i < 100; ++i) {
            random_step();
            if (fake::happens(500))
                fake::client_opens(path);
        }
        fake::k().odds.shortage = 0;
        fake::set_quick_pipe_clients(0);
        evpipelistener_iocp_enable(the.listener);
        turns(100);
        assert_int_equal(the.told.size(), fake::clients_let_in());
        assert_int_equal(fake::instances_of(path), the.told.size() + fake::instances_that_listen(path));
        end();
    }
}

} // namespace

int main()
{
    use_fake_threads();
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_starting_thread_ends, set_up_kernel),
        cmocka_unit_test_setup(freed_in_every_state, set_up_kernel),
        cmocka_unit_test_setup(its_numbers_are_somebody_elses, set_up_kernel),
        cmocka_unit_test_setup(another_thread_disables_the_last_that_the_loop_runs_for, set_up_kernel),
        cmocka_unit_test_setup(the_base_goes_first, set_up_kernel),
        cmocka_unit_test_setup(random_scripts, set_up_kernel),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
