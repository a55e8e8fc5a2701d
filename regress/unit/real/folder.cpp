#include "real/folder.h"

#include "support/check.h"

#include "compat/libevent.h"

namespace real {

std::wstring folder;

std::string utf8(const std::wstring &wide)
{
    char text[2000];
    int length = WideCharToMultiByte(CP_UTF8, 0, wide.c_str(), -1, text, sizeof(text), nullptr, nullptr);
    assert_true(length > 0);
    return text;
}

std::wstring in_folder(const std::wstring &name)
{
    return folder + L"\\" + name;
}

void write_file(const std::wstring &path)
{
    HANDLE file = CreateFileW(path.c_str(), GENERIC_WRITE, FILE_SHARE_READ, nullptr, CREATE_ALWAYS, 0, nullptr);
    assert_true(file != INVALID_HANDLE_VALUE);
    DWORD written;
    WriteFile(file, "text", 4, &written, nullptr);
    CloseHandle(file);
}

static void remove_tree(const std::wstring &path)
{
    WIN32_FIND_DATAW found;
    HANDLE find = FindFirstFileW((path + L"\\*").c_str(), &found);
    if (find != INVALID_HANDLE_VALUE) {
        do {
            std::wstring name = found.cFileName;
            if (name == L"." || name == L"..")
                continue;
            if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
                remove_tree(path + L"\\" + name);
            else
                DeleteFileW((path + L"\\" + name).c_str());
        } while (FindNextFileW(find, &found));
        FindClose(find);
    }
    RemoveDirectoryW(path.c_str());
}

void remove_folder()
{
    remove_tree(L"\\\\?\\" + folder); // with paths in it that are longer than MAX_PATH
}

void make_folder()
{
    wchar_t temporary[MAX_PATH];
    assert_true(GetTempPathW(MAX_PATH, temporary) != 0);
    folder = temporary + (L"libevent-iocp-" + std::to_wstring(GetCurrentProcessId()));
    remove_folder();
    assert_true(CreateDirectoryW(folder.c_str(), nullptr));
}

} // namespace real
