#include "backend/handles/command_text.h"
#include "backend/handles/utf8.h"
#include "compat/sys.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

namespace iocp {

namespace {

// Grows by the characters that are put; without memory it stays as it is, and says so at the end.
struct command_line {
    char *text;
    size_t length;
    size_t room;
    bool lacks_memory;
};

void command_put(command_line *self, char character, size_t times = 1)
{
    if (self->length + times > self->room) {
        size_t room = (self->length + times) * 2 + 64;
        auto *grown = static_cast<char *>(mm_realloc(self->text, room));
        self->lacks_memory = self->lacks_memory || grown == nullptr;
        if (grown == nullptr)
            return;
        self->text = grown;
        self->room = room;
    }
    memset(self->text + self->length, character, times);
    self->length += times;
}

// Backslashes stand for themselves except before a quote, the closing one included.
void command_put_argument(command_line *self, const char *argument)
{
    if (argument[0] != '\0' && strpbrk(argument, " \t\n\v\"") == nullptr) {
        for (; *argument != '\0'; ++argument)
            command_put(self, *argument);
        return;
    }
    command_put(self, '"');
    for (;; ++argument) {
        size_t backslashes = strspn(argument, "\\");
        argument += backslashes;
        bool before_quote = *argument == '\0' || *argument == '"';
        command_put(self, '\\', before_quote ? backslashes * 2 : backslashes);
        if (*argument == '\0')
            break;
        if (*argument == '"')
            command_put(self, '\\');
        command_put(self, *argument);
    }
    command_put(self, '"');
}

// The first word is taken by other rules: between quotes, whatever is there, and no escapes.
void command_put_program(command_line *self, const char *program)
{
    command_put(self, '"');
    for (; *program != '\0'; ++program)
        command_put(self, *program);
    command_put(self, '"');
}

size_t command_name_length(const wchar_t *entry)
{
    return static_cast<size_t>(wcschr(entry + 1, L'=') - entry); // the first may begin the name: "=C:=C:\\work"
}

int command_compare(const void *left, const void *right)
{
    const wchar_t *one = *static_cast<wchar_t *const *>(left), *other = *static_cast<wchar_t *const *>(right);
    return CompareStringOrdinal(one, static_cast<int>(command_name_length(one)), other,
                                static_cast<int>(command_name_length(other)), TRUE) -
           CSTR_EQUAL;
}

constexpr wchar_t command_system_root[] = L"SystemRoot";

// 0, or an error; NULL and 0: there is none.
int command_own_system_root(wchar_t **entry)
{
    wchar_t value[MAX_PATH];
    DWORD length = sys::environment_value(command_system_root, value, MAX_PATH);
    if (length == 0 || length >= MAX_PATH)
        return 0;
    size_t units = wcslen(command_system_root) + 1 + length + 1;
    *entry = static_cast<wchar_t *>(mm_malloc(units * sizeof(wchar_t)));
    if (*entry == nullptr)
        return WSAENOBUFS;
    _snwprintf(*entry, units, L"%ls=%ls", command_system_root, value);
    return 0;
}

bool command_has_name(wchar_t *const *entries, size_t count, const wchar_t *name)
{
    for (size_t i = 0; i < count; ++i)
        if (CompareStringOrdinal(entries[i], static_cast<int>(command_name_length(entries[i])), name, -1, TRUE) ==
            CSTR_EQUAL)
            return true;
    return false;
}

// The entries, sorted, one after the other.
wchar_t *command_pack(wchar_t **entries, size_t count)
{
    qsort(entries, count, sizeof(*entries), command_compare);
    size_t units = 2;
    for (size_t i = 0; i < count; ++i)
        units += wcslen(entries[i]) + 1;
    auto *block = static_cast<wchar_t *>(mm_calloc(units, sizeof(wchar_t)));
    wchar_t *into = block;
    for (size_t i = 0; i < count && block != nullptr; ++i) {
        size_t length = wcslen(entries[i]) + 1;
        wmemcpy(into, entries[i], length);
        into += length;
    }
    return block;
}

// 0, or an error; those that were made are to be freed in either case.
int command_widen_entries(const char *const *utf8, size_t count, wchar_t **entries, size_t *made)
{
    for (*made = 0; *made < count; ++*made) {
        const char *entry = utf8[*made];
        if (entry[0] == '\0' || strchr(entry + 1, '=') == nullptr)
            return WSAEINVAL;
        int error = 0;
        entries[*made] = utf8_widen(entry, utf8_halves::refused, &error);
        if (error != 0)
            return error;
    }
    if (command_has_name(entries, count, command_system_root))
        return 0;
    int error = command_own_system_root(&entries[count]);
    *made += entries[count] != nullptr;
    return error;
}

// Windows drops dots and spaces at the end of a name. 0: "." and ".." and the like.
size_t command_named_length(const char *part, size_t length)
{
    while (length > 0 && (part[length - 1] == '.' || part[length - 1] == ' '))
        --length;
    return length;
}

bool command_ends_as_batch(const char *name, size_t length)
{
    return length >= 4 && (evutil_ascii_strncasecmp(name + length - 4, ".bat", 4) == 0 ||
                           evutil_ascii_strncasecmp(name + length - 4, ".cmd", 4) == 0);
}

} // namespace

wchar_t *command_join(const char *const *argv, int *error)
{
    *error = WSAEINVAL;
    if (argv[0] == nullptr || argv[0][0] == '\0' || strchr(argv[0], '"') != nullptr)
        return nullptr;
    command_line line = {};
    command_put_program(&line, argv[0]);
    for (size_t i = 1; argv[i] != nullptr; ++i) {
        command_put(&line, ' ');
        command_put_argument(&line, argv[i]);
    }
    command_put(&line, '\0');
    *error = WSAENOBUFS;
    wchar_t *joined = line.lacks_memory ? nullptr : utf8_widen(line.text, utf8_halves::refused, error);
    free_if_any(line.text);
    return joined;
}

wchar_t *command_environment(const char *const *utf8, int *error)
{
    size_t count = 0, made = 0;
    while (utf8[count] != nullptr)
        ++count;
    auto **entries = static_cast<wchar_t **>(mm_calloc(count + 1, sizeof(wchar_t *)));
    *error = entries != nullptr ? command_widen_entries(utf8, count, entries, &made) : WSAENOBUFS;
    wchar_t *block = *error == 0 ? command_pack(entries, made) : nullptr;
    if (*error == 0 && block == nullptr)
        *error = WSAENOBUFS;
    for (size_t i = 0; i < made; ++i)
        mm_free(entries[i]);
    free_if_any(entries);
    return block;
}

bool command_is_batch(const char *program)
{
    // What Windows does to a path ends with one of its parts: the last, if none leads upwards.
    bool last_is_batch = false, any_is_batch = false, goes_up = false;
    for (const char *part = program;; ++part) {
        size_t length = strcspn(part, "\\/");
        size_t named = command_named_length(part, length);
        goes_up = goes_up || (named == 0 && length > 1);
        if (named != 0)
            last_is_batch = command_ends_as_batch(part, named);
        any_is_batch = any_is_batch || last_is_batch;
        part += length;
        if (*part == '\0')
            return goes_up ? any_is_batch : last_is_batch;
    }
}

} // namespace iocp
