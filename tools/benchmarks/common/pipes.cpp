#include "tools/benchmarks/common/bench.h"

#include <wchar.h>

namespace bench {

// Both ends of a pipe of bytes, as a program would have made them: overlapped, one instance.
void connect_pipe(pipe_pair *pair)
{
    static int number;
    constexpr DWORD buffer_size = 64 * 1024;
    wchar_t name[64];
    swprintf(name, 64, L"\\\\.\\pipe\\libevent-iocp-bench-%lu-%d", GetCurrentProcessId(), number++);
    pair->server = CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                    PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, buffer_size,
                                    buffer_size, 0, nullptr);
    if (pair->server == INVALID_HANDLE_VALUE)
        fail("CreateNamedPipe", static_cast<int>(GetLastError()));
    pair->client =
        CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, nullptr);
    if (pair->client == INVALID_HANDLE_VALUE)
        fail("CreateFile", static_cast<int>(GetLastError()));
}

} // namespace bench
