// What a child's command line and environment are made of. Windows itself takes the lines apart.
#include "support/check.h"
#include "support/fake_sys.h"

#include <initializer_list>
#include <string>
#include <vector>

#include "backend/handles/command_text.h"
#include "backend/handles/utf8.h"

#include <shellapi.h>

using namespace iocp;

namespace {

std::wstring widened(const char *utf8)
{
    int error = 0;
    wchar_t *wide = utf8_widen(utf8, utf8_halves::refused, &error);
    assert_non_null(wide);
    std::wstring text = wide;
    mm_free(wide);
    return text;
}

void comes_back(const std::vector<const char *> &words)
{
    std::vector<const char *> argv = words;
    argv.push_back(nullptr);
    int error = 0, count = 0;
    wchar_t *line = command_join(argv.data(), &error);
    assert_int_equal(error, 0);
    wchar_t **apart = CommandLineToArgvW(line, &count);
    assert_int_equal(count, words.size());
    for (int i = 0; i < count; ++i)
        assert_true(widened(words[static_cast<size_t>(i)]) == apart[i]);
    LocalFree(apart);
    mm_free(line);
}

void joined_is(std::initializer_list<const char *> words, const wchar_t *wanted)
{
    std::vector<const char *> argv = words;
    argv.push_back(nullptr);
    int error = 0;
    wchar_t *line = command_join(argv.data(), &error);
    assert_non_null(line);
    assert_true(std::wstring(line) == wanted);
    mm_free(line);
}

void lines_as_they_are_written(void **)
{
    joined_is({"a.exe"}, L"\"a.exe\"");
    joined_is({"C:\\a b\\"}, L"\"C:\\a b\\\"");
    joined_is({"a", "b", "", "c d", "e\\"}, L"\"a\" b \"\" \"c d\" e\\");
    joined_is({"a", "b c\\"}, L"\"a\" \"b c\\\\\"");
    joined_is({"a", "\"", "\\\"", "b\\\\c"}, L"\"a\" \"\\\"\" \"\\\\\\\"\" b\\\\c");
}

void any_arguments_come_back(void **)
{
    const char alphabet[] = " \t\n\"\\\\\\a%^b'";
    unsigned state = 1;
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::string> words = {"C:\\pro gram\\x.exe"};
        int count = static_cast<int>(state % 5);
        for (int word = 0; word < count; ++word) {
            std::string text;
            for (unsigned length = (state = state * 1103515245 + 12345) / 65536 % 8; length > 0; --length)
                text += alphabet[(state = state * 1103515245 + 12345) / 65536 % (sizeof(alphabet) - 1)];
            words.push_back(text);
        }
        state = state * 1103515245 + 12345;
        std::vector<const char *> argv;
        for (const std::string &word : words)
            argv.push_back(word.c_str());
        comes_back(argv);
    }
    comes_back({"program", "\xC3\xA4\xF0\x9F\x98\x80"});
}

void what_is_no_command(void **)
{
    const struct {
        const char *program;
        const char *argument;
        int error;
    } cases[] = {{nullptr, nullptr, WSAEINVAL},
                 {"", nullptr, WSAEINVAL},
                 {"a\"b", nullptr, WSAEINVAL},
                 {"a", "\xC3(", ERROR_NO_UNICODE_TRANSLATION},
                 {"\xED\xA0\x80", nullptr, ERROR_NO_UNICODE_TRANSLATION}};
    for (const auto &each : cases) {
        const char *const argv[] = {each.program, each.argument, nullptr};
        int error = 0;
        assert_null(command_join(argv, &error));
        assert_int_equal(error, each.error);
    }
}

std::vector<std::wstring> entries_of(const char *const *environment)
{
    int error = 0;
    wchar_t *block = command_environment(environment, &error);
    assert_int_equal(error, 0);
    std::vector<std::wstring> entries;
    for (const wchar_t *entry = block; *entry != L'\0'; entry += wcslen(entry) + 1)
        entries.push_back(entry);
    mm_free(block);
    return entries;
}

void environments_are_sorted(void **)
{
    const char *const given[] = {"zeta=1", "=D:=D:\\x", "B_C=3", "b=2=", "SYSTEMROOT=mine", "A=", "BC=4", nullptr};
    std::vector<std::wstring> entries = entries_of(given);
    const wchar_t *wanted[] = {L"=D:=D:\\x", L"A=", L"b=2=", L"BC=4", L"B_C=3", L"SYSTEMROOT=mine", L"zeta=1"};
    assert_int_equal(entries.size(), 7);
    for (size_t i = 0; i < 7; ++i)
        assert_true(entries[i] == wanted[i]);
}

// Without one Winsock does not start in the child.
void the_system_root_is_added(void **)
{
    const char *const none[] = {nullptr};
    const std::wstring long_one(MAX_PATH, L'w');
    fake::boot(1);
    for (const std::wstring &root : {std::wstring(L"D:\\w"), std::wstring(), long_one}) {
        fake::set_system_root(root);
        std::vector<std::wstring> entries = entries_of(none);
        bool is_added = !root.empty() && root != long_one;
        assert_int_equal(entries.size(), is_added);
        assert_true(!is_added || entries[0] == L"SystemRoot=" + root);
    }
}

void what_is_no_environment(void **)
{
    for (const char *entry : {"", "=", "name", "=name"}) {
        const char *const environment[] = {"A=1", entry, nullptr};
        int error = 0;
        assert_null(command_environment(environment, &error));
        assert_int_equal(error, WSAEINVAL);
    }
    const char *const environment[] = {"A=1", "B=\xFF", nullptr};
    int error = 0;
    assert_null(command_environment(environment, &error));
    assert_int_equal(error, ERROR_NO_UNICODE_TRANSLATION);
}

void batch_files_are_known(void **)
{
    for (const char *name : {"a.bat", "C:\\x\\A.CMD", ".bat", "a.bat ", "a.cmd. . "})
        assert_true(command_is_batch(name));
    for (const char *name : {"", "bat", "a.bat.exe", "cmd.exe", "a.batch", "...", "cmd"})
        assert_false(command_is_batch(name));
    // Paths that Windows makes shorter. A folder may be called so, too.
    for (const char *path : {"a.bat\\.", "a.bat/.", "a.bat\\.\\.", "a.bat\\", "a.bat//", "a.bat\\. .", "a.bat.\\.",
                             "a.bat \\ ", "a.bat\\x\\..", "a.bat/x/y/../..", "a.bat\\x\\.. ", "x\\..\\a.bat",
                             "C:a.cmd\\b\\..\\.", "\\\\?\\C:\\a.bat", "a.bat\\..\\b.exe"})
        assert_true(command_is_batch(path));
    for (const char *path :
         {"a.bat\\b.exe", "a.cmd/b/c", "a.bat\\.\\b.exe", "..\\b.exe", "x\\..", ".\\b.exe\\.", "\\", "/bat"})
        assert_false(command_is_batch(path));
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_as_they_are_written), cmocka_unit_test(any_arguments_come_back),
        cmocka_unit_test(what_is_no_command),        cmocka_unit_test(environments_are_sorted),
        cmocka_unit_test(the_system_root_is_added),  cmocka_unit_test(what_is_no_environment),
        cmocka_unit_test(batch_files_are_known),
    };
    return cmocka_run_group_tests_name("command_text", tests, nullptr, nullptr);
}
