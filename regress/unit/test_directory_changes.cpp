// What the kernel writes of changes, as a program gets it: renames in pairs, and buffers that are not what they should be.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"

#include "backend/handles/directory_changes.h"

#include "event2/iocp_directory.h"

using namespace iocp;

namespace {

char *old_name;

// Bytes that end where nobody may read on.
unsigned char *at_the_edge(const std::string &bytes)
{
    constexpr size_t page = 4096;
    static unsigned char *pages;
    if (pages == nullptr) {
        DWORD before;
        pages = static_cast<unsigned char *>(VirtualAlloc(nullptr, 2 * page, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
        assert_non_null(pages);
        assert_true(VirtualProtect(pages + page, page, PAGE_NOACCESS, &before));
    }
    assert_in_range(bytes.size(), 0, page);
    unsigned char *begin = pages + page - bytes.size();
    memcpy(begin, bytes.data(), bytes.size());
    return begin;
}

int set_up(void **)
{
    fake::boot(1);
    old_name = nullptr;
    return 0;
}

int tear_down(void **)
{
    return check_nothing_is_left();
}

// "1:name 4:old 5:new", and "lost".
std::string taken(const std::string &bytes, bool goes_on = true)
{
    change_list list = changes_take(at_the_edge(bytes), bytes.size(), goes_on, &old_name);
    std::string all;
    for (int i = 0; i < list.count; ++i)
        all += (all.empty() ? "" : " ") + std::to_string(list.first[i].action) + ":" + list.first[i].path;
    if (list.lost)
        all += all.empty() ? "lost" : " lost";
    changes_free(&list);
    return all;
}

std::string taken(const std::vector<fake::change> &changes, bool goes_on = true)
{
    return taken(fake::written_changes(changes), goes_on);
}

void changes_are_told_in_order(void **)
{
    assert_string_equal(taken({{1, L"a"}, {3, L"a"}, {2, L"b\\c"}}).c_str(), "1:a 3:a 2:b\\c");
    assert_string_equal(taken(std::vector<fake::change>{}).c_str(), "");
    assert_string_equal(taken({{1, L""}}).c_str(), "1:");
    assert_string_equal(taken({{7, L"f:stream"}}).c_str(), "3:f:stream"); // whatever it is, the file is worth a look
}

void names_of_a_rename_come_in_pairs(void **)
{
    assert_string_equal(taken({{4, L"a"}, {5, L"b"}}).c_str(), "4:a 5:b");
    assert_string_equal(taken({{4, L"a"}, {4, L"b"}, {5, L"c"}}).c_str(), "2:a 4:b 5:c");
    assert_string_equal(taken({{5, L"b"}, {1, L"c"}}).c_str(), "1:b 1:c");
    assert_string_equal(taken({{4, L"a"}, {3, L"b"}, {5, L"c"}}).c_str(), "2:a 3:b 1:c");
    assert_null(old_name);
}

void an_old_name_at_the_end_waits(void **)
{
    assert_string_equal(taken({{1, L"x"}, {4, L"a"}}).c_str(), "1:x");
    assert_string_equal(old_name, "a");
    assert_string_equal(taken({{5, L"b"}, {1, L"y"}}).c_str(), "4:a 5:b 1:y");
    assert_null(old_name);
    assert_string_equal(taken({{4, L"a"}}).c_str(), "");
    assert_string_equal(taken({{1, L"y"}}).c_str(), "2:a 1:y");
    assert_string_equal(taken({{4, L"a"}}).c_str(), "");
    assert_string_equal(taken({{4, L"b"}}).c_str(), "2:a");
    assert_string_equal(taken({{5, L"c"}, {4, L"d"}}).c_str(), "4:b 5:c");
    assert_string_equal(taken(std::vector<fake::change>{}, false).c_str(), "2:d");
    assert_string_equal(taken({{4, L"a"}}, false).c_str(), "2:a");
    assert_null(old_name);
}

std::string entry(uint32_t next, uint32_t action, uint32_t name_bytes, const std::string &name)
{
    std::string bytes;
    for (uint32_t number : {next, action, name_bytes})
        bytes.append(reinterpret_cast<const char *>(&number), sizeof(number));
    return bytes + name;
}

void buffers_are_not_believed(void **)
{
    const std::string a("a\0", 2);
    assert_string_equal(taken(std::string("\0\0\0\0\1\0\0\0\2\0\0", 11)).c_str(), "lost"); // not even a head
    assert_string_equal(taken(entry(0, 1, 4, a)).c_str(), "lost");                         // a name beyond the end
    assert_string_equal(taken(entry(0, 1, 0xFFFFFFFE, a)).c_str(), "lost");
    assert_string_equal(taken(entry(0, 1, 1, a)).c_str(), "lost");              // half of a unit
    assert_string_equal(taken(entry(2, 1, 2, a)).c_str(), "1:a lost");          // the next lies in this one
    assert_string_equal(taken(entry(16, 1, 2, a)).c_str(), "1:a lost");         // or beyond the end
    assert_string_equal(taken(entry(14, 1, 2, a)).c_str(), "1:a lost");         // where nothing is
    assert_string_equal(taken(entry(0xFFFFFFFE, 1, 2, a)).c_str(), "1:a lost"); // or before the first
    assert_string_equal(taken(entry(15, 1, 2, a) + " " + entry(0, 1, 2, a)).c_str(), "1:a lost");
    assert_string_equal(taken(entry(14, 1, 2, a) + entry(0, 2, 2, a)).c_str(), "1:a 2:a");
    assert_string_equal(taken(entry(2, 4, 2, a)).c_str(), "2:a lost"); // its new name will not come
    assert_null(old_name);
}

void random_buffers_are_not_believed(void **)
{
    for (int i = 0; i < 100000; ++i) {
        std::string bytes = fake::written_changes({{1, L"some"}, {4, L"name"}, {5, L"other"}, {3, L"x"}});
        for (uint64_t times = 1 + fake::random() % 4; times > 0; --times)
            bytes[fake::random() % bytes.size()] = static_cast<char>(fake::random() % 40);
        taken(bytes.substr(0, fake::random() % (bytes.size() + 1)), fake::happens(500));
    }
    taken(std::vector<fake::change>{}, false);
}

void without_memory_they_are_lost(void **)
{
    assert_string_equal(taken({{4, L"a"}}).c_str(), "");
    guard::fail_allocations(0, 1);
    assert_string_equal(taken({{5, L"b"}}).c_str(), "lost");
    assert_null(old_name);
    guard::fail_allocations(1, 1); // to keep the old name
    assert_string_equal(taken({{4, L"a"}}).c_str(), "2:a");
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_are_told_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_of_a_rename_come_in_pairs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_name_at_the_end_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(buffers_are_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_buffers_are_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_they_are_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
