// The kernel's door: child processes.
#include <stdlib.h>

#include "compat/sys.h"
#include "compat/sys_error.h"

namespace iocp {
namespace sys {

namespace {

// The three, each once: Windows refuses a list that names one twice.
DWORD distinct(HANDLE const (&standard)[3], HANDLE (&each)[3])
{
    DWORD count = 0;
    for (HANDLE handle : standard) {
        bool is_there = false;
        for (DWORD i = 0; i < count; ++i)
            is_there = is_there || each[i] == handle;
        if (!is_there)
            each[count++] = handle;
    }
    return count;
}

// `inherited` and what it names must live as long as the list.
int make_list(HANDLE *inherited, DWORD count, LPPROC_THREAD_ATTRIBUTE_LIST *list)
{
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
    *list = static_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(malloc(size));
    if (*list == nullptr)
        return ERROR_NOT_ENOUGH_MEMORY;
    int error = InitializeProcThreadAttributeList(*list, 1, 0, &size) ? 0 : last_win32_code();
    if (error == 0 && !UpdateProcThreadAttribute(*list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, inherited,
                                                 count * sizeof(HANDLE), nullptr, nullptr)) {
        error = last_win32_code();
        DeleteProcThreadAttributeList(*list);
    }
    if (error != 0)
        free(*list);
    return error;
}

} // namespace

DWORD environment_value(const wchar_t *name, wchar_t *into, DWORD room)
{
    return GetEnvironmentVariableW(name, into, room);
}

int null_device_open(HANDLE *opened)
{
    SECURITY_ATTRIBUTES inherited = {sizeof(inherited), nullptr, TRUE};
    HANDLE handle = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                                OPEN_EXISTING, 0, nullptr);
    if (handle == INVALID_HANDLE_VALUE)
        return last_win32_code();
    *opened = handle;
    return 0;
}

int process_create(const child_start &start, child *created)
{
    HANDLE inherited[3];
    STARTUPINFOEXW startup = {};
    int error = make_list(inherited, distinct(start.standard, inherited), &startup.lpAttributeList);
    if (error != 0)
        return error;
    startup.StartupInfo.cb = sizeof(startup);
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    startup.StartupInfo.hStdInput = start.standard[0];
    startup.StartupInfo.hStdOutput = start.standard[1];
    startup.StartupInfo.hStdError = start.standard[2];
    DWORD flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
    if (start.hidden) {
        startup.StartupInfo.dwFlags |= STARTF_USESHOWWINDOW;
        startup.StartupInfo.wShowWindow = SW_HIDE;
        flags |= CREATE_NO_WINDOW;
    }
    if (start.detached)
        flags |= DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
    PROCESS_INFORMATION made;
    if (CreateProcessW(start.program, start.command, nullptr, nullptr, TRUE, flags, start.environment, start.directory,
                       &startup.StartupInfo, &made))
        *created = {made.hProcess, made.hThread, made.dwProcessId};
    else
        error = last_win32_code();
    DeleteProcThreadAttributeList(startup.lpAttributeList);
    free(startup.lpAttributeList);
    return error;
}

int process_resume(HANDLE thread)
{
    int error = ResumeThread(thread) != static_cast<DWORD>(-1) ? 0 : last_win32_code();
    CloseHandle(thread);
    return error;
}

uint32_t process_exit_code(HANDLE process)
{
    DWORD code = 0;
    return GetExitCodeProcess(process, &code) ? code : ERROR_GEN_FAILURE;
}

int process_terminate(HANDLE process, uint32_t exit_code)
{
    // Windows says so of one that has ended, Wine does not.
    if (WaitForSingleObject(process, 0) == WAIT_OBJECT_0)
        return ERROR_ACCESS_DENIED;
    return TerminateProcess(process, exit_code) ? 0 : last_win32_code();
}

void process_close(child *self)
{
    if (self->thread != nullptr)
        CloseHandle(self->thread);
    if (self->process != nullptr)
        CloseHandle(self->process);
    *self = {};
}

} // namespace sys
} // namespace iocp
