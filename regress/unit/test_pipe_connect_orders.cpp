// Bufferevents that connect to pipes on the fake kernel, by random steps, and listeners of ours at the other end.
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
        cmocka_unit_test_setup(random_scripts, set_up_kernel),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
