// Both ends of a pipe at once, for a child's standard handles.
#include <atomic>
#include <stdio.h>
#include <wchar.h>

#include "compat/libevent.h"
#include "compat/sys.h"

#include "event2/iocp_pipe.h"

using namespace iocp;

namespace {

// Somebody who watches the machine's pipes may be quicker to open one than we are.
constexpr int max_tries = 8;

constexpr size_t pair_path_room = 96;

// Unique by its number, and not to be guessed beforehand.
void pair_path(wchar_t (&path)[pair_path_room])
{
    static std::atomic<unsigned> count;
    uint32_t random[4];
    evutil_secure_rng_get_bytes(random, sizeof(random));
    swprintf(path, pair_path_room, L"\\\\.\\pipe\\libevent-iocp-%lx-%x-%08lx%08lx%08lx%08lx",
             static_cast<unsigned long>(GetCurrentProcessId()), ++count, static_cast<unsigned long>(random[0]),
             static_cast<unsigned long>(random[1]), static_cast<unsigned long>(random[2]),
             static_cast<unsigned long>(random[3]));
}

int pair_try(HANDLE *ours, HANDLE *theirs, bool we_read)
{
    wchar_t path[pair_path_room];
    pair_path(path);
    int error = sys::pipe_create(path, {we_read, !we_read, true, 1, nullptr}, ours);
    if (error != 0)
        return error;
    error = sys::pipe_open(path, {!we_read, we_read, true}, theirs);
    if (error != 0)
        sys::close_handle(*ours);
    return error;
}

} // namespace

extern "C" int evutil_iocp_pipe_pair(void **ours, void **theirs, int we_read)
{
    HANDLE server = nullptr, client = nullptr;
    int error = ERROR_PIPE_BUSY;
    for (int i = 0; i < max_tries && (error == ERROR_PIPE_BUSY || error == ERROR_ACCESS_DENIED); ++i)
        error = pair_try(&server, &client, we_read != 0);
    *ours = error == 0 ? server : nullptr;
    *theirs = error == 0 ? client : nullptr;
    if (error == 0)
        return 0;
    WSASetLastError(error);
    return -1;
}
