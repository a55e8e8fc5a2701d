// Texts between UTF-8 and 16-bit units; where no halves of pairs are kept, as Windows has it.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"

#include "backend/handles/utf8.h"

using namespace iocp;

namespace {

int set_up(void **)
{
    fake::boot(1);
    return 0;
}

int tear_down(void **)
{
    return check_nothing_is_left();
}

std::string utf8(const std::wstring &wide)
{
    std::string text(utf8_from_units(wide.data(), wide.size(), nullptr), ' ');
    utf8_from_units(wide.data(), wide.size(), &text[0]);
    return text;
}

bool wide(const std::string &text, std::wstring *into, utf8_halves halves = utf8_halves::kept)
{
    size_t count = utf8_to_units(text.c_str(), halves, nullptr);
    if (count == utf8_invalid)
        return false;
    into->resize(count);
    utf8_to_units(text.c_str(), halves, &(*into)[0]);
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
        assert_false(wide(utf8(name), &back, utf8_halves::refused));
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
        assert_false(wide(text, &unused, utf8_halves::refused));
    }
}

// False: Windows takes it for no UTF-8.
bool windows_widens(const std::string &text, std::wstring *into)
{
    wchar_t units[64];
    int count = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.c_str(), -1, units, 64);
    if (count > 0)
        into->assign(units, static_cast<size_t>(count) - 1);
    return count > 0;
}

// Characters, with bytes among them at which something begins or ends, or any.
std::string random_bytes()
{
    static const char *const pieces[] = {"a",
                                         "\x7f",
                                         "\xc2\x80",
                                         "\xdf\xbf",
                                         "\xe0\xa0\x80",
                                         "\xed\x9f\xbf",
                                         "\xee\x80\x80",
                                         "\xf4\x8f\xbf\xbf",
                                         "\xf0\x90\x80\x80",
                                         "\x80",
                                         "\xbf",
                                         "\xc1",
                                         "\xe0",
                                         "\xed\xa0",
                                         "\xf0\x8f",
                                         "\xf4\x90"};
    std::string text;
    for (uint64_t left = fake::random() % 5; left > 0; --left) {
        uint64_t any = fake::random();
        if (any % 8 == 0)
            text += static_cast<char>(1 + any / 8 % 0xFF);
        else
            text += pieces[any / 8 % (sizeof(pieces) / sizeof(*pieces))];
    }
    return text;
}

void without_halves_it_is_as_windows_has_it(void **)
{
    int taken = 0;
    for (int i = 0; i < 50000; ++i) {
        std::string text = random_bytes();
        std::wstring ours, of_windows;
        bool widened = wide(text, &ours, utf8_halves::refused);
        assert_int_equal(widened, windows_widens(text, &of_windows));
        assert_true(ours == of_windows);
        taken += widened && text.size() > 1;
    }
    assert_true(taken > 1000);
}

void widened_text_has_memory_of_its_own(void **)
{
    int error = 1;
    for (const char *text : {"", "a", "\xf0\x9f\x98\x80"}) {
        wchar_t *units = utf8_widen(text, utf8_halves::refused, &error);
        assert_int_equal(error, 0);
        assert_string_equal(utf8(units).c_str(), text);
        mm_free(units);
    }
    assert_null(utf8_widen("\xed\xa0\xbd", utf8_halves::refused, &error));
    assert_int_equal(error, ERROR_NO_UNICODE_TRANSLATION);
    wchar_t *half = utf8_widen("\xed\xa0\xbd", utf8_halves::kept, &error);
    assert_int_equal(error, 0);
    mm_free(half);
    guard::fail_allocations(0, 1);
    assert_null(utf8_widen("a", utf8_halves::kept, &error));
    assert_int_equal(error, WSAENOBUFS);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(halves_of_pairs_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_names_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_utf8_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_halves_it_is_as_windows_has_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(widened_text_has_memory_of_its_own, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
