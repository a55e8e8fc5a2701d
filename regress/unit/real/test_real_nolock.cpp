// Bases in threads with libevent's locking never switched on: each is its thread's alone, and what they share of a
// listening socket is guarded by locks of ours.
#include "real/pool.h"

using namespace real;

namespace {

constexpr int bases = 4, clients = 400;
// Of a hundred each. A client of these goes on before its base is back in its wait, so that it may pass over one; and
// Windows may keep a thread from running meanwhile: then not in this round.
constexpr int least = 60, most = 140, most_rounds = 40;

pool served;

bool round_is_even(int together)
{
    assert_int_equal(pool_serves(&served, clients, together), clients);
    int sum = 0;
    bool is_even = true;
    for (int i = 0; i < bases; ++i) {
        int accepted = served.workers[i].accepted.exchange(0);
        printf("%d ", accepted);
        sum += accepted;
        is_even = is_even && accepted >= least && accepted <= most;
    }
    printf("\n");
    assert_int_equal(sum, clients);
    return is_even;
}

void nolock_spread(int flags, int together)
{
    pool_open(&served, bases, flags);
    int rounds = 1;
    for (; !round_is_even(together); ++rounds)
        assert_true(rounds < most_rounds);
    pool_close(&served);
}

void with_the_flag(void **)
{
    nolock_spread(EVENT_BASE_FLAG_NOLOCK, 1);
    nolock_spread(EVENT_BASE_FLAG_NOLOCK, 50);
}

void without_the_flag(void **)
{
    nolock_spread(0, 1);
    nolock_spread(0, 50);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_flag),
        cmocka_unit_test(without_the_flag),
    };
    WSADATA data; // and no evthread_use_windows_threads: see real_base.cpp's start()
    WSAStartup(MAKEWORD(2, 2), &data);
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
