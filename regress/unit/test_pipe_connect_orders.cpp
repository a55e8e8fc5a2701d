// Bufferevents that connect to pipes on the fake kernel, by random steps, with listeners of ours at the other end; and to
// pipes that let them do less.
#include "support/check.h"

#include "support/fake_file.h"
#include "support/fake_kernel.h"
#include "support/listening_pipe.h"
#include "support/strict_locks.h"

using namespace iocp;
using namespace iocp::listening_pipe;

namespace {

// Both ends in one base.
void to_a_listener_of_ours(void **)
{
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        begin(fake::all_chances, seed);
        while (the.listener == nullptr)
            listen(1);
        struct bufferevent *clients[5];
        for (struct bufferevent *&client : clients)
            client = start_connect();
        for (int i = 0; i < 100 && the.told.size() < 5; ++i)
            turns(1);
        assert_int_equal(the.told.size(), 5);
        for (HANDLE &server : the.told) {
            struct bufferevent *bev = bufferevent_iocp_handle_new(the.base, server, BEV_OPT_CLOSE_ON_FREE);
            assert_non_null(bev);
            bufferevent_write(bev, "hello", 5);
            for (int i = 0; i < 100 && fake::file_peer_reads(server) != "hello"; ++i)
                turns(1);
            assert_string_equal(fake::file_peer_reads(server).c_str(), "hello");
            bufferevent_free(bev);
        }
        the.told.clear();
        for (struct bufferevent *client : clients) {
            assert_int_not_equal(bufferevent_getfd(client), -1);
            bufferevent_free(client);
        }
        end();
    }
}

struct outcome {
    short what;
    int error;
    int times;
};

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *told = static_cast<outcome *>(argument);
    *told = {what, EVUTIL_SOCKET_ERROR(), told->times + 1};
}

outcome connect_by(const fake::pipe_terms &terms, bool kernel_says = true)
{
    outcome told = {};
    begin();
    fake::take_pipe_name(path, terms);
    if (!kernel_says)
        fake::fail_calls(fake::call::pipe_is_duplex, ERROR_INVALID_PARAMETER);
    struct bufferevent *bev = start_connect();
    bufferevent_setcb(bev, nullptr, nullptr, on_event, &told);
    turns(3);
    assert_int_equal(told.times, 1);
    assert_int_equal(bufferevent_getfd(bev) != -1, told.what == BEV_EVENT_CONNECTED);
    bufferevent_free(bev);
    turns(1);
    end(); // and no handle is left
    return told;
}

// Connected by one direction, where the pipe has no other.
void a_pipe_that_goes_one_way(void **)
{
    const fake::pipe_terms all[] = {
        {true, false, true, true}, {false, true, true, true}, {true, false, true, false}, {false, true, false, true}};
    for (const fake::pipe_terms &terms : all)
        assert_int_equal(connect_by(terms).what, BEV_EVENT_CONNECTED);
}

// One that goes both ways, of which this account may use one: its write, say, would fail later.
void a_pipe_of_which_half_is_granted(void **)
{
    const fake::pipe_terms all[] = {{true, true, true, false}, {true, true, false, true}, {true, true, false, false}};
    for (const fake::pipe_terms &terms : all) {
        outcome told = connect_by(terms);
        assert_int_equal(told.what, BEV_EVENT_ERROR);
        assert_int_equal(told.error, ERROR_ACCESS_DENIED);
    }
}

// Where the kernel cannot be asked, it is open for what it is open for.
void a_kernel_that_does_not_say(void **)
{
    assert_int_equal(connect_by({true, false, true, true}, false).what, BEV_EVENT_CONNECTED);
    assert_int_equal(connect_by({true, true, true, false}, false).what, BEV_EVENT_CONNECTED);
}

struct bufferevent *clients[8];

void random_step()
{
    struct bufferevent *&one_of = clients[fake::random() % 8];
    switch (fake::random() % 6) {
    case 0:
        if (one_of != nullptr)
            bufferevent_free(one_of);
        one_of = nullptr;
        break;
    case 1:
        fake::fail_calls(fake::call::pipe_open, ERROR_PIPE_BUSY, static_cast<unsigned>(fake::random() % 4));
        break;
    case 2:
        fake::fail_calls(fake::call::port_associate, ERROR_NOT_ENOUGH_MEMORY);
        break;
    case 3:
        if (the.listener != nullptr)
            free_listener();
        else
            listen(2);
        break;
    case 4:
        if (one_of == nullptr)
            one_of = start_connect();
        if (one_of != nullptr)
            bufferevent_write(one_of, "hello", 5);
        break;
    default:
        turns(static_cast<int>(fake::random() % 5));
        break;
    }
}

// Connects, frees, listeners that come and go, and what fails meanwhile: nothing is left.
void random_scripts(void **)
{
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        begin(fake::all_chances, seed);
        for (int i = 0; i < 200; ++i)
            random_step();
        for (struct bufferevent *&client : clients) {
            if (client != nullptr)
                bufferevent_free(client);
            client = nullptr;
        }
        end();
    }
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(to_a_listener_of_ours, set_up_kernel),
        cmocka_unit_test_setup(a_pipe_that_goes_one_way, set_up_kernel),
        cmocka_unit_test_setup(a_pipe_of_which_half_is_granted, set_up_kernel),
        cmocka_unit_test_setup(a_kernel_that_does_not_say, set_up_kernel),
        cmocka_unit_test_setup(random_scripts, set_up_kernel),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
