/* Loads the DLL that is named, makes and frees a base on the port, and unloads it: unload <libevent_core-7.dll> <times>
 * Nothing may be left of it: not the DLL, no thread, no handle. */
#include <winsock2.h>

#include <windows.h>

#include <tlhelp32.h>

#include <stdio.h>
#include <stdlib.h>

struct event_base;

static int threads(void)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry;
    int count = 0;

    entry.dwSize = sizeof(entry);
    if (Thread32First(snapshot, &entry))
        do
            count += entry.th32OwnerProcessID == GetCurrentProcessId();
        while (Thread32Next(snapshot, &entry));
    CloseHandle(snapshot);
    return count;
}

static FARPROC named(HMODULE dll, const char *name)
{
    FARPROC found = GetProcAddress(dll, name);

    if (!found) {
        printf("no %s\n", name);
        exit(2);
    }
    return found;
}

static void use(const char *path)
{
    HMODULE dll = LoadLibraryA(path);
    struct event_base *base;

    if (!dll) {
        printf("%s is not loaded: error %lu\n", path, GetLastError());
        exit(2);
    }
    base = ((struct event_base * (*)(void)) named(dll, "event_base_new"))();
    printf("%s\n", ((const char *(*)(struct event_base *))named(dll, "event_base_get_method"))(base));
    ((int (*)(struct event_base *, int))named(dll, "event_base_loop"))(base, 2 /* EVLOOP_NONBLOCK */);
    ((void (*)(struct event_base *))named(dll, "event_base_free"))(base);
    ((void (*)(void))named(dll, "libevent_global_shutdown"))();
    FreeLibrary(dll);
    if (GetModuleHandleA(path)) {
        printf("the DLL is still loaded\n");
        exit(3);
    }
}

int main(int count, char **arguments)
{
    WSADATA winsock;
    DWORD handles_before = 0, handles = 0;
    int before = 0, times = count == 3 ? atoi(arguments[2]) : 0;

    if (times < 2 || WSAStartup(MAKEWORD(2, 2), &winsock))
        return 1;
    /* What Windows keeps after the first time is Windows' own. */
    for (int i = 0; i < times; i++) {
        use(arguments[1]);
        if (i == 0) {
            before = threads();
            GetProcessHandleCount(GetCurrentProcess(), &handles_before);
        }
    }
    GetProcessHandleCount(GetCurrentProcess(), &handles);
    printf("threads %d to %d, handles %lu to %lu\n", before, threads(), handles_before, handles);
    return before == threads() && handles_before == handles ? 0 : 4;
}
