// The kernel's door: threads.
#include <process.h>
#include <stdlib.h>

#include "compat/sys.h"

namespace iocp {
namespace sys {

namespace {

struct thread_main {
    void (*run)(void *);
    void *argument;
};

unsigned __stdcall enter(void *given)
{
    thread_main entry = *static_cast<thread_main *>(given);
    free(given);
    entry.run(entry.argument);
    return 0;
}

} // namespace

int thread_start(void (*run)(void *), void *argument, HANDLE *thread)
{
    auto *entry = static_cast<thread_main *>(malloc(sizeof(thread_main)));
    if (entry == nullptr)
        return ERROR_NOT_ENOUGH_MEMORY;
    *entry = {run, argument};
    uintptr_t handle = _beginthreadex(nullptr, 0, enter, entry, 0, nullptr);
    if (handle != 0) {
        *thread = reinterpret_cast<HANDLE>(handle);
        return 0;
    }
    free(entry);
    return ERROR_MAX_THRDS_REACHED;
}

bool thread_wait(HANDLE thread, long wait_ms)
{
    if (WaitForSingleObject(thread, wait_ms < 0 ? INFINITE : static_cast<DWORD>(wait_ms)) != WAIT_OBJECT_0)
        return false;
    CloseHandle(thread);
    return true;
}

void let_others_run(unsigned looks)
{
    if (looks < looks_before_sleep)
        SwitchToThread();
    else
        Sleep(1); // a shorter one would not let threads of lower priority run
}

} // namespace sys
} // namespace iocp
