#include "real/child_roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "compat/win.h"

#include <fcntl.h>
#include <io.h>
#include <shellapi.h>

namespace real {

namespace {

// In UTF-8, with its 0.
void print_text(const wchar_t *text)
{
    char utf8[4096];
    int length = WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, sizeof(utf8), nullptr, nullptr);
    fwrite(utf8, 1, static_cast<size_t>(length), stdout);
}

// As the C runtime has taken the line apart (wmain's arguments are not to be had in every build).
int print_arguments(wchar_t **argv, int count)
{
    for (int i = 2; i < count; ++i)
        print_text(argv[i]);
    return 0;
}

int is_handle_ours(const wchar_t *value)
{
    DWORD flags;
    auto handle = reinterpret_cast<HANDLE>(static_cast<uintptr_t>(wcstoull(value, nullptr, 10)));
    return SetEvent(handle) && GetHandleInformation(handle, &flags) ? 1 : 0;
}

int copy_input()
{
    char bytes[4096];
    for (size_t count = fread(bytes, 1, sizeof(bytes), stdin); count > 0; count = fread(bytes, 1, sizeof(bytes), stdin))
        fwrite(bytes, 1, count, stdout);
    return 0;
}

int print_variable(const wchar_t *name)
{
    wchar_t value[1024];
    DWORD length = GetEnvironmentVariableW(name, value, 1024);
    print_text(length != 0 ? value : L"(none)");
    return 0;
}

int print_directory()
{
    wchar_t path[1024];
    GetCurrentDirectoryW(1024, path);
    print_text(path);
    return 0;
}

int write_to_both()
{
    fputs("output", stdout);
    fflush(stdout);
    fputs("error", stderr);
    return 0;
}

// Until it is killed, but not for ever.
int sleep_long()
{
    Sleep(60000);
    return 1;
}

} // namespace

bool play_role(int *exit_code)
{
    int count = 0;
    wchar_t **argv = CommandLineToArgvW(GetCommandLineW(), &count);
    if (count < 2)
        return false;
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    const wchar_t *role = argv[1], *first = count > 2 ? argv[2] : L"";
    if (wcscmp(role, L"exit") == 0)
        *exit_code = static_cast<int>(wcstoul(first, nullptr, 10));
    else if (wcscmp(role, L"arguments") == 0)
        *exit_code = print_arguments(argv, count);
    else if (wcscmp(role, L"handle") == 0)
        *exit_code = is_handle_ours(first);
    else if (wcscmp(role, L"copy") == 0)
        *exit_code = copy_input();
    else if (wcscmp(role, L"variable") == 0)
        *exit_code = print_variable(first);
    else if (wcscmp(role, L"directory") == 0)
        *exit_code = print_directory();
    else if (wcscmp(role, L"both") == 0)
        *exit_code = write_to_both();
    else if (wcscmp(role, L"sleep") == 0)
        *exit_code = sleep_long();
    else
        *exit_code = -1;
    return true;
}

} // namespace real
