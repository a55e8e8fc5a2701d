// The table of descriptors against a map, over sizes and numbers of all kinds: it grows, shrinks to nothing, and whoever
// was pushed aside by another is found when that one has gone.
#include "support/check.h"

#include "support/fake_kernel.h"
#include "support/guard.h"

#include "backend/fd_table.h"

#include <map>
#include <set>

using namespace iocp;

namespace {

constexpr int steps = 20000;

struct numbered : fd_table_entry {
    bool is_in;
};

// What programs have: numbers close to each other, with gaps, and far apart.
enum class spread { dense, gaps, apart };

evutil_socket_t number_of(spread how, uint64_t index)
{
    switch (how) {
    case spread::dense:
        return static_cast<evutil_socket_t>(index * 4 + 4);
    case spread::gaps:
        return static_cast<evutil_socket_t>(index * 4 * 7 + 64);
    default:
        return static_cast<evutil_socket_t>((index * 2654435761u) & 0x7ffffffc);
    }
}

void check(const fd_table *table, const std::map<evutil_socket_t, numbered> &all)
{
    size_t count = 0;
    std::set<const fd_table_entry *> seen;
    for (size_t at = 0; const fd_table_entry *each = fd_table_next(table, &at); ++count) {
        assert_true(static_cast<const numbered *>(each)->is_in);
        seen.insert(each);
    }
    assert_int_equal(count, table->used);
    assert_int_equal(seen.size(), count);
    for (const auto &each : all)
        assert_ptr_equal(fd_table_find(table, each.first), each.second.is_in ? &each.second : nullptr);
    assert_true(table->used * 8 <= table->capacity * 7);
}

void add_and_remove(spread how, unsigned numbers)
{
    std::map<evutil_socket_t, numbered> all;
    fd_table table = {};
    for (int step = 0; step < steps; ++step) {
        evutil_socket_t fd = number_of(how, fake::random() % numbers);
        numbered *one = &all[fd];
        one->fd = fd;
        if (one->is_in)
            fd_table_remove(&table, fd);
        else
            assert_true(fd_table_add(&table, one));
        one->is_in = !one->is_in;
        if (step % (steps / 20) == 0)
            check(&table, all);
    }
    for (auto &each : all) {
        fd_table_remove(&table, each.first); // in it or not
        each.second.is_in = false;
    }
    check(&table, all);
    assert_null(table.slots);
}

void everybody_is_found(void **)
{
    for (spread how : {spread::dense, spread::gaps, spread::apart})
        for (unsigned numbers : {1u, 20u, 200u, 5000u})
            add_and_remove(how, numbers);
}

// It stays as it was.
void there_is_no_memory_to_grow(void **)
{
    static numbered all[200];
    fd_table table = {};
    unsigned added = 0;
    while (added < 100) {
        all[added].fd = number_of(spread::gaps, added);
        assert_true(fd_table_add(&table, &all[added++]));
    }
    guard::fail_allocations(0, UINT_MAX);
    for (;; ++added) {
        all[added].fd = number_of(spread::gaps, added);
        if (!fd_table_add(&table, &all[added]))
            break;
    }
    guard::fail_allocations(0, 0);
    assert_int_equal(table.used, added);
    for (unsigned i = 0; i < added; ++i)
        assert_ptr_equal(fd_table_find(&table, all[i].fd), &all[i]);
    assert_null(fd_table_find(&table, all[added].fd));
    assert_true(fd_table_add(&table, &all[added]));
    fd_table_clear(&table);
    assert_null(fd_table_find(&table, all[0].fd));
}

// That takes no memory: it cannot fail, and end with neither of them.
void one_takes_the_place_of_another(void **)
{
    numbered first, second, apart;
    first.fd = second.fd = number_of(spread::gaps, 0);
    apart.fd = number_of(spread::gaps, 1);
    fd_table table = {};
    assert_true(fd_table_put(&table, &first));
    guard::fail_allocations(0, UINT_MAX);
    assert_true(fd_table_put(&table, &second));
    guard::fail_allocations(0, 0);
    assert_ptr_equal(fd_table_find(&table, first.fd), &second);
    assert_true(fd_table_put(&table, &apart));
    assert_int_equal(table.used, 2);
    fd_table_remove(&table, first.fd);
    assert_null(fd_table_find(&table, first.fd));
    assert_ptr_equal(fd_table_find(&table, apart.fd), &apart);
    fd_table_clear(&table);
}

// A slot is a pointer, and few are empty: each connection has one in two tables.
void it_takes_little_room(void **)
{
    static numbered all[8000];
    fd_table table = {};
    for (unsigned i = 0; i < 8000; ++i) {
        all[i].fd = number_of(spread::dense, i);
        assert_true(fd_table_add(&table, &all[i]));
        assert_true(i < 100 || table.capacity * 2 <= table.used * 3);
    }
    fd_table_clear(&table);
}

} // namespace

int main()
{
    fake::boot(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_is_found),
        cmocka_unit_test(there_is_no_memory_to_grow),
        cmocka_unit_test(one_takes_the_place_of_another),
        cmocka_unit_test(it_takes_little_room),
    };
    return cmocka_run_group_tests_name("fd_table", tests, nullptr, nullptr);
}
