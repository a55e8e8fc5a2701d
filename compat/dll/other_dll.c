#include "compat/dll/dll.h"

#include <winsock2.h>

#include <windows.h>

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID reserved);

/* Windows does not load this DLL at all where the function is missing. Wine does, and prints the name when it is called. */
BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID reserved)
{
    (void)module;
    (void)reserved;
    return reason != DLL_PROCESS_ATTACH || iocp_all_libevent_dlls_must_be_swapped_together() == 0;
}
