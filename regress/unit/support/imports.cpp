#include "support/imports.h"

namespace iocp {

namespace {

template <typename Part> Part *at(char *module, DWORD offset)
{
    return reinterpret_cast<Part *>(module + offset);
}

const IMAGE_IMPORT_DESCRIPTOR *first_import(char *module)
{
    auto *dos = at<IMAGE_DOS_HEADER>(module, 0);
    auto *headers = at<IMAGE_NT_HEADERS>(module, static_cast<DWORD>(dos->e_lfanew));
    const IMAGE_DATA_DIRECTORY &imports = headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
    return at<IMAGE_IMPORT_DESCRIPTOR>(module, imports.VirtualAddress);
}

// Some import libraries name a function and others give its ordinal: its address, which the loader has entered, is the
// same.
ULONG_PTR *find_entry(char *module, ULONG_PTR address)
{
    for (const IMAGE_IMPORT_DESCRIPTOR *dll = first_import(module); dll->Name != 0; ++dll)
        for (auto *entry = at<ULONG_PTR>(module, dll->FirstThunk); *entry != 0; ++entry)
            if (*entry == address)
                return entry;
    return nullptr;
}

} // namespace

any_function exported(const wchar_t *dll, const char *name)
{
    return reinterpret_cast<any_function>(GetProcAddress(GetModuleHandleW(dll), name));
}

bool replace_import(const wchar_t *dll, const char *name, any_function replacement)
{
    auto *module = reinterpret_cast<char *>(GetModuleHandleW(nullptr));
    ULONG_PTR *entry = find_entry(module, reinterpret_cast<ULONG_PTR>(exported(dll, name)));
    DWORD before;
    if (entry == nullptr || !VirtualProtect(entry, sizeof(*entry), PAGE_READWRITE, &before))
        return false;
    *entry = reinterpret_cast<ULONG_PTR>(replacement);
    VirtualProtect(entry, sizeof(*entry), before, &before);
    return true;
}

} // namespace iocp
