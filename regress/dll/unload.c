/* Loads the DLL that is named, uses a base on the port and frees it, and unloads the DLL:
 * unload <libevent_core-7.dll> <times>
 * Nothing may be left of it: not the DLL, no thread, no handle, no block of the heap, no slot of thread storage. */
#include <winsock2.h>

#include <windows.h>

#include <tlhelp32.h>
#include <winternl.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

/* SystemHandleInformation, whose structures winternl.h lacks: every handle of every process. */
#define ALL_HANDLES 16
#define ALL_HANDLES_SIZE (8 * 1024 * 1024)
#define EV_TIMEOUT 1
#define EV_READ 2

struct handle_entry {
    USHORT process, creator;
    UCHAR type, flags;
    USHORT handle;
    PVOID object;
    ULONG access;
};

struct all_handles {
    ULONG count;
    struct handle_entry entries[1];
};

struct event_base;

/* libevent's callback and its function, which is found by name. */
typedef void (*callback)(intptr_t fd, short what, void *argument);
typedef int (*base_once)(struct event_base *, intptr_t, short, callback, void *, const struct timeval *);
typedef int (*socketpair)(int, int, int, intptr_t *);

/* What a process holds. The slots are the next free ones. */
struct holding {
    unsigned long threads, handles, blocks, slot, fiber_slot;
};

static unsigned long count_threads(void)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry;
    unsigned long count = 0;

    entry.dwSize = sizeof(entry);
    if (Thread32First(snapshot, &entry))
        do
            count += entry.th32OwnerProcessID == GetCurrentProcessId();
        while (Thread32Next(snapshot, &entry));
    CloseHandle(snapshot);
    return count;
}

static unsigned long count_handles(struct all_handles *all)
{
    DWORD count = 0;

    if (GetProcessHandleCount(GetCurrentProcess(), &count) && count)
        return count;
    /* Wine 8 does not count, but it lists. */
    if (NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)ALL_HANDLES, all, ALL_HANDLES_SIZE, NULL) == 0)
        for (ULONG i = 0; i < all->count; i++)
            count += all->entries[i].process == GetCurrentProcessId();
    return count;
}

/* The C library's, which is the process's or one of its own. */
static unsigned long count_blocks(void)
{
    HANDLE heap = (HANDLE)_get_heap_handle();
    PROCESS_HEAP_ENTRY entry;
    unsigned long count = 0;

    entry.lpData = NULL;
    HeapLock(heap);
    while (HeapWalk(heap, &entry))
        count += (entry.wFlags & PROCESS_HEAP_ENTRY_BUSY) != 0;
    HeapUnlock(heap);
    return count;
}

static struct holding look(struct all_handles *all)
{
    struct holding found;

    found.threads = count_threads();
    found.handles = count_handles(all);
    found.blocks = count_blocks();
    found.slot = TlsAlloc();
    TlsFree(found.slot);
    found.fiber_slot = FlsAlloc(NULL);
    FlsFree(found.fiber_slot);
    return found;
}

static void *named(HMODULE dll, const char *name)
{
    void *found = (void *)GetProcAddress(dll, name);

    if (!found) {
        printf("no %s\n", name);
        exit(2);
    }
    return found;
}

static void on_event(intptr_t fd, short what, void *fired)
{
    (void)fd;
    *(int *)fired += what;
}

static void use(const char *path)
{
    static const struct timeval soon = {0, 1000};
    HMODULE dll = LoadLibraryA(path);
    struct event_base *base;
    intptr_t pair[2];
    int fired = 0;

    if (!dll) {
        printf("%s is not loaded: error %lu\n", path, GetLastError());
        exit(2);
    }
    base = ((struct event_base * (*)(void)) named(dll, "event_base_new"))();
    printf("%s\n", ((const char *(*)(struct event_base *))named(dll, "event_base_get_method"))(base));
    ((base_once)named(dll, "event_base_once"))(base, -1, EV_TIMEOUT, on_event, &fired, &soon);
    if (((socketpair)named(dll, "evutil_socketpair"))(AF_INET, SOCK_STREAM, 0, pair) ||
        ((base_once)named(dll, "event_base_once"))(base, pair[0], EV_READ, on_event, &fired, NULL) ||
        send((SOCKET)pair[1], "x", 1, 0) != 1) {
        printf("no pair of sockets\n");
        exit(2);
    }
    ((int (*)(struct event_base *))named(dll, "event_base_dispatch"))(base);
    for (int i = 0; i < 2; i++)
        ((int (*)(intptr_t))named(dll, "evutil_closesocket"))(pair[i]);
    ((void (*)(struct event_base *))named(dll, "event_base_free"))(base);
    ((void (*)(void))named(dll, "libevent_global_shutdown"))();
    FreeLibrary(dll);
    if (GetModuleHandleA(path) || fired != (EV_TIMEOUT | EV_READ)) {
        printf("events %d; the DLL is %sloaded\n", fired, GetModuleHandleA(path) ? "still " : "not ");
        exit(3);
    }
}

int main(int count, char **arguments)
{
    struct all_handles *all = malloc(ALL_HANDLES_SIZE);
    struct holding before = {0, 0, 0, 0, 0}, after;
    WSADATA winsock;
    int times = count == 3 ? atoi(arguments[2]) : 0;

    if (times < 2 || !all || WSAStartup(MAKEWORD(2, 2), &winsock))
        return 1;
    setvbuf(stdout, NULL, _IONBF, 0);
    /* What Windows keeps after the first time is Windows' own. */
    for (int i = 0; i < times; i++) {
        use(arguments[1]);
        if (i == 0)
            before = look(all);
    }
    after = look(all);
    printf("threads %lu to %lu, handles %lu to %lu, blocks %lu to %lu, slots %lu to %lu, %lu to %lu\n", before.threads,
           after.threads, before.handles, after.handles, before.blocks, after.blocks, before.slot, after.slot,
           before.fiber_slot, after.fiber_slot);
    return before.handles && before.threads == after.threads && before.handles == after.handles &&
                   before.blocks == after.blocks && before.slot == after.slot && before.fiber_slot == after.fiber_slot
               ? 0
               : 4;
}
