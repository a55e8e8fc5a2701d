// Functions of a DLL that this program calls by its import table, replaced there: for the calls that no seam reaches,
// libevent's own among them. Works for whatever calling convention and compiler, as no symbol's name is made up.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_IMPORTS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_IMPORTS_H

#include "compat/win.h"

namespace iocp {

using any_function = void (*)();

// The DLL's own, whatever stands in the table.
any_function exported(const wchar_t *dll, const char *name);
// True if the program imports it.
bool replace_import(const wchar_t *dll, const char *name, any_function replacement);

template <typename Function> Function exported(Function, const wchar_t *dll, const char *name)
{
    return reinterpret_cast<Function>(exported(dll, name));
}

template <typename Function> bool replace_import(const wchar_t *dll, const char *name, Function replacement)
{
    return replace_import(dll, name, reinterpret_cast<any_function>(replacement));
}

} // namespace iocp

#endif
