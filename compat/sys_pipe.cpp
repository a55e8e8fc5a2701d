// The kernel's door: named pipes, from their names to a connection. What moves over one is asked for elsewhere.
#include <stdlib.h>
#include <string.h>

#include "compat/sys.h"
#include "compat/sys_error.h"
#include "compat/sys_nt.h"

// Windows Vista's, and not in every header of the kind.
#ifndef PIPE_REJECT_REMOTE_CLIENTS
#define PIPE_REJECT_REMOTE_CLIENTS 0x00000008
#endif

namespace iocp {
namespace sys {

namespace {

// What the kernel advises to set aside for each direction; a write beyond it waits for the reader.
constexpr DWORD pipe_buffer_size = 64 * 1024;

// The parts of a descriptor that is given as pointers to them, in one piece.
bool security_make_relative(PSECURITY_DESCRIPTOR descriptor, void *into, DWORD length)
{
    SECURITY_DESCRIPTOR_CONTROL control = 0;
    DWORD revision = 0;
    if (!GetSecurityDescriptorControl(descriptor, &control, &revision))
        return false;
    if ((control & SE_SELF_RELATIVE) == 0)
        return MakeSelfRelativeSD(descriptor, into, &length);
    memcpy(into, descriptor, length);
    return true;
}

} // namespace

int pipe_create(const wchar_t *path, const pipe_kind &kind, HANDLE *created)
{
    DWORD access = (kind.reads ? PIPE_ACCESS_INBOUND : 0) | (kind.writes ? PIPE_ACCESS_OUTBOUND : 0) |
                   FILE_FLAG_OVERLAPPED | (kind.is_first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0);
    DWORD instances = kind.instances != 0 ? kind.instances : PIPE_UNLIMITED_INSTANCES;
    HANDLE handle =
        CreateNamedPipeW(path, access, PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, instances,
                         pipe_buffer_size, pipe_buffer_size, 0, static_cast<SECURITY_ATTRIBUTES *>(kind.security));
    if (handle == INVALID_HANDLE_VALUE)
        return last_win32_code();
    *created = handle;
    return 0;
}

start_result pipe_accept(HANDLE instance, OVERLAPPED *overlapped, bool skips)
{
    if (ConnectNamedPipe(instance, overlapped))
        return {skips ? started::done : started::pending, 0, 0};
    int error = last_win32_code();
    if (error == ERROR_IO_PENDING)
        return {started::pending, 0, 0};
    // A client came before the call, and is there or has gone again. What it has written can be read in both cases.
    if (error == ERROR_PIPE_CONNECTED || error == ERROR_NO_DATA)
        return {started::done, 0, 0};
    return {started::failed, error, 0};
}

int security_copy(const void *security, void **copy)
{
    *copy = nullptr;
    if (security == nullptr)
        return 0;
    auto *given = static_cast<const SECURITY_ATTRIBUTES *>(security);
    PSECURITY_DESCRIPTOR descriptor = given->lpSecurityDescriptor;
    if (descriptor != nullptr && !IsValidSecurityDescriptor(descriptor))
        return ERROR_INVALID_SECURITY_DESCR;
    DWORD length = descriptor != nullptr ? GetSecurityDescriptorLength(descriptor) : 0;
    auto *made = static_cast<SECURITY_ATTRIBUTES *>(malloc(sizeof(SECURITY_ATTRIBUTES) + length));
    if (made == nullptr)
        return WSAENOBUFS;
    *made = {sizeof(SECURITY_ATTRIBUTES), descriptor != nullptr ? made + 1 : nullptr, given->bInheritHandle};
    if (descriptor != nullptr && !security_make_relative(descriptor, made + 1, length)) {
        int error = last_win32_code();
        free(made);
        return error;
    }
    *copy = made;
    return 0;
}

void security_free(void *copy)
{
    free(copy);
}

int pipe_open(const wchar_t *path, const pipe_client &client, HANDLE *opened)
{
    SECURITY_ATTRIBUTES inherited = {sizeof(inherited), nullptr, TRUE};
    // GENERIC_WRITE would ask for the right to make instances, too, which a server need not grant; nor need it grant that
    // the pipe's modes are set (FILE_WRITE_ATTRIBUTES). A child's end is ours to grant: runtimes ask for the modes of a
    // standard handle, and set them, also where it reads or writes alone.
    DWORD access = (client.reads ? GENERIC_READ : FILE_READ_ATTRIBUTES | SYNCHRONIZE) |
                   (client.writes ? FILE_WRITE_DATA : 0) |
                   (client.for_child ? FILE_WRITE_ATTRIBUTES | READ_CONTROL : 0);
    // The server may learn who its client is, and not act in its name.
    DWORD flags = SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION | (client.for_child ? 0 : FILE_FLAG_OVERLAPPED);
    HANDLE handle =
        CreateFileW(path, access, 0, client.for_child ? &inherited : nullptr, OPEN_EXISTING, flags, nullptr);
    if (handle == INVALID_HANDLE_VALUE)
        return last_win32_code();
    *opened = handle;
    return 0;
}

// GetNamedPipeInfo asks for the same, and leaves this out of what it hands on. Who asks needs FILE_READ_ATTRIBUTES, for
// which pipe_open sees in each case.
bool pipe_is_duplex(HANDLE end)
{
    constexpr ULONG local_information = 24, full_duplex = 2;
    struct {
        ULONG type, configuration, most_instances, instances;
        ULONG inbound_quota, readable, outbound_quota, writable;
        ULONG state, which_end;
    } answer = {};
    io_status_block status_block = {};
    return nt().query_information_file != nullptr &&
           nt().query_information_file(end, &status_block, &answer, sizeof(answer), local_information) >= 0 &&
           answer.configuration == full_duplex;
}

} // namespace sys
} // namespace iocp
