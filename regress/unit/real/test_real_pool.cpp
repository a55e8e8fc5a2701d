// A base for each of 64 threads, all of which listen on one socket: nobody is lost, and each base has some.
#include <initializer_list>

#include "real/pool.h"

using namespace real;

namespace {

constexpr int clients = 640;

pool served;

void pool_of_64(int together)
{
    pool_open(&served, most_in_pool, 0);
    assert_int_equal(pool_serves(&served, clients, together), clients);
    pool_close(&served);
    int sum = 0, least = clients, most = 0;
    for (const pool_worker &each : served.workers) {
        sum += each.accepted;
        least = each.accepted < least ? each.accepted.load() : least;
        most = each.accepted > most ? each.accepted.load() : most;
    }
    printf("%d clients, %d at a time: %d to %d for a base\n", clients, together, least, most);
    assert_int_equal(sum, clients);
    assert_true(least > 0);
}

void one_after_the_other(void **)
{
    pool_of_64(1);
}

void ten_at_a_time(void **)
{
    pool_of_64(10);
}

void all_at_once(void **)
{
    pool_of_64(clients);
}

// Then whoever wakes first has a connection, as on select.
void some_on_select(void **)
{
    constexpr int few = 6, half = 3;
    for (int together : {1, 40}) {
        pool_open(&served, few, 0, half);
        assert_int_equal(pool_serves(&served, clients, together), clients);
        pool_close(&served);
        int sum = 0;
        for (int i = 0; i < few; ++i)
            sum += served.workers[i].accepted;
        assert_int_equal(sum, clients);
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(ten_at_a_time),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(some_on_select),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
