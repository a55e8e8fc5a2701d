// The fake kernel's child processes: nothing runs, and the test says when one ends. A process's handle can be waited for.
#include "support/fake_kernel.h"

namespace iocp {
namespace fake {

namespace {

child_object *find_child(HANDLE process)
{
    for (child_object &each : k().children)
        if (each.process == process)
            return &each;
    return nullptr;
}

void end_child(child_object *ending, uint32_t exit_code)
{
    ending->ended = true;
    ending->exit_code = exit_code;
    // Its object lives as long as somebody has a handle of it.
    ending->object->count = 1;
    satisfy_waits();
}

} // namespace

void child_ends(DWORD id, uint32_t exit_code)
{
    for (child_object &each : k().children)
        if (each.id == id && !each.ended)
            end_child(&each, exit_code);
}

void next_child_ends_before_it_runs(uint32_t exit_code)
{
    k().next_child_ends = true;
    k().next_exit_code = exit_code;
}

DWORD last_child()
{
    return k().children.back().id;
}

size_t children_started()
{
    return k().children.size();
}

size_t children_running()
{
    size_t count = 0;
    for (const child_object &each : k().children)
        count += !each.ended && each.resumed;
    return count;
}

void set_system_root(const std::wstring &value)
{
    k().system_root = value;
}

size_t children_suspended()
{
    size_t count = 0;
    for (const child_object &each : k().children)
        count += !each.ended && !each.resumed;
    return count;
}

} // namespace fake

namespace sys {

using namespace fake;

DWORD environment_value(const wchar_t *name, wchar_t *into, DWORD room)
{
    const std::wstring &value = k().system_root;
    auto length = static_cast<DWORD>(value.size());
    if (wcscmp(name, L"SystemRoot") != 0)
        return 0;
    if (length >= room)
        return length + 1;
    wmemcpy(into, value.c_str(), length + 1);
    return length;
}

int null_device_open(HANDLE *opened)
{
    int error = enter(call::null_device_open);
    if (error != 0)
        return error;
    *opened = new_handle();
    k().files[*opened] = {};
    return 0;
}

int process_create(const child_start &start, child *created)
{
    int error = enter(call::process_create);
    if (error != 0)
        return error;
    for (HANDLE standard : start.standard)
        if (k().files.count(standard) == 0)
            complain("a child's standard handle is closed");
    child_object made = {};
    made.process = open_waitable(waitable_kind::manual);
    made.object = k().waitables.at(made.process);
    made.id = static_cast<DWORD>(new_serial()) * 4;
    made.thread = new_handle();
    k().files[made.thread] = {};
    k().children.push_back(made);
    *created = {made.process, made.thread, made.id};
    if (k().next_child_ends)
        end_child(&k().children.back(), k().next_exit_code);
    k().next_child_ends = false;
    return 0;
}

int process_resume(HANDLE thread)
{
    int error = enter(call::process_resume);
    close_handle(thread);
    if (error != 0)
        return error;
    for (child_object &each : k().children) {
        if (each.thread != thread)
            continue;
        if (each.ended)
            return ERROR_ACCESS_DENIED;
        each.resumed = true;
    }
    return 0;
}

uint32_t process_exit_code(HANDLE process)
{
    const child_object *asked = find_child(process);
    if (asked == nullptr || !asked->ended) {
        complain("the exit code of a process that has not ended");
        return STILL_ACTIVE;
    }
    return asked->exit_code;
}

int process_terminate(HANDLE process, uint32_t exit_code)
{
    child_object *ending = find_child(process);
    if (ending == nullptr || ending->ended)
        return ERROR_ACCESS_DENIED;
    end_child(ending, exit_code);
    return 0;
}

void process_close(child *self)
{
    if (self->thread != nullptr)
        close_handle(self->thread);
    if (self->process != nullptr)
        close_handle(self->process);
    *self = {};
}

} // namespace sys
} // namespace iocp
