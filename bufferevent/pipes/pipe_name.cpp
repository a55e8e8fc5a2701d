#include "bufferevent/pipes/pipe_name.h"
#include "backend/handles/utf8.h"

#include <string.h>

namespace iocp {

namespace {

constexpr size_t prefix_length = 9; // of both

// Of this machine alone: to open \\server\pipe\name may take as long as the network does.
bool name_is_of_a_pipe(const char *name)
{
    return _strnicmp(name, R"(\\.\pipe\)", prefix_length) == 0 || _strnicmp(name, R"(\\?\pipe\)", prefix_length) == 0;
}

bool name_separates(char c)
{
    return c == '\\' || c == '/';
}

// Windows follows "." and ".." in what begins with \\.\, and out of the folder of pipes.
bool name_has_dots_alone(const char *part, size_t length)
{
    return (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
}

bool name_stays_within(const char *rest)
{
    for (;;) {
        size_t length = 0;
        while (rest[length] != '\0' && !name_separates(rest[length]))
            ++length;
        if (length == 0 || name_has_dots_alone(rest, length))
            return false;
        if (rest[length] == '\0')
            return true;
        rest += length + 1;
    }
}

} // namespace

int pipe_path_from(const char *name, pipe_path *path)
{
    if (name == nullptr || !name_is_of_a_pipe(name) || !name_stays_within(name + prefix_length))
        return ERROR_INVALID_NAME;
    size_t units = utf8_to_units(name, utf8_halves::refused, nullptr);
    if (units == utf8_invalid)
        return ERROR_NO_UNICODE_TRANSLATION;
    if (units > max_pipe_path)
        return ERROR_FILENAME_EXCED_RANGE;
    utf8_to_units(name, utf8_halves::refused, path->text);
    path->text[units] = L'\0';
    return 0;
}

} // namespace iocp
