// What the kernel writes of changes, as a program gets it: names between UTF-8 and 16-bit units, renames in pairs, and
// buffers that are not what they should be.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"

#include "backend/handles/directory_changes.h"
#include "backend/handles/utf8_name.h"

#include "event2/iocp_directory.h"

using namespace iocp;

namespace {

char *old_name;

int set_up(void **)
{
    fake::boot(1);
    old_name = nullptr;
    return 0;
}

int tear_down(void **)
{
    assert_null(fake::complaint_after_free());
    return 0;
}

// "1:name 4:old 5:new", and "lost".
std::string taken(const std::string &bytes, bool goes_on = true)
{
    std::vector<unsigned char> buffer(bytes.begin(), bytes.end()); // of its own, so that a read beyond it is one
    change_list list = changes_take(buffer.data(), buffer.size(), goes_on, &old_name);
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

std::string utf8(const std::wstring &wide)
{
    std::string text(utf8_from_units(wide.data(), wide.size(), nullptr), ' ');
    utf8_from_units(wide.data(), wide.size(), &text[0]);
    return text;
}

bool wide(const std::string &text, std::wstring *into)
{
    size_t count = utf8_to_units(text.c_str(), nullptr);
    if (count == utf8_invalid)
        return false;
    into->resize(count);
    utf8_to_units(text.c_str(), &(*into)[0]);
    return true;
}

void names_are_utf8(void **)
{
    assert_string_equal(utf8(L"a\x7f").c_str(), "a\x7f");
    assert_string_equal(utf8(L"\x80\xe4\x7ff").c_str(), "\xc2\x80\xc3\xa4\xdf\xbf");
    assert_string_equal(utf8(L"\x800\x4e2d\xffff").c_str(), "\xe0\xa0\x80\xe4\xb8\xad\xef\xbf\xbf");
    assert_string_equal(utf8(L"\xd83d\xde00").c_str(), "\xf0\x9f\x98\x80");
    assert_string_equal(utf8(L"\xdbff\xdfff").c_str(), "\xf4\x8f\xbf\xbf");
}

void halves_of_pairs_come_back(void **)
{
    for (const wchar_t *name :
         {L"\xd83d", L"\xde00", L"x\xd83dy", L"\xde00\xd83d", L"\xd83d\xd83d\xde00", L"\xdfff\xdfff"}) {
        std::wstring back;
        assert_true(wide(utf8(name), &back));
        assert_true(back == name);
    }
}

void random_names_come_back(void **)
{
    for (int i = 0; i < 20000; ++i) {
        std::wstring name(fake::random() % 12, L' ');
        for (wchar_t &unit : name) {
            uint64_t any = fake::random();
            unit = static_cast<wchar_t>(any % 3 == 0 ? 0xD800 + any / 3 % 0x800 : 1 + any / 3 % 0xFFFE);
        }
        std::wstring back;
        assert_true(wide(utf8(name), &back));
        assert_true(back == name);
    }
}

void what_is_no_utf8_is_refused(void **)
{
    for (const char *text : {"\x80", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
                             "\xe4\xb8", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xfe",
                             "\xed\xa0\xbd\xed\xb8\x80", "abc\xf0\x9f\x98"}) {
        std::wstring unused;
        assert_false(wide(text, &unused));
    }
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
        cmocka_unit_test_setup_teardown(names_are_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(halves_of_pairs_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_names_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_utf8_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_are_told_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_of_a_rename_come_in_pairs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_name_at_the_end_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(buffers_are_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_buffers_are_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_they_are_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
