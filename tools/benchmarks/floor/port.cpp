#include "tools/benchmarks/floor/port.h"

namespace bench {

namespace {

// How many queued tasks are started between two looks at the port.
constexpr int starts_per_look = 64;

constexpr ULONG max_packets = 32;

// A batch is tried twice as large once so many packets have come in full ones.
constexpr ULONG patience = 16;

// After a second look that brought nothing, how many are left out.
constexpr int looks_left_out = 7;

void start_receive(task *queued)
{
    auto *starting = static_cast<receive_operation *>(queued->context);
    WSABUF buffer = {starting->capacity, starting->buffer};
    DWORD bytes = 0, flags = 0;
    starting->common.overlapped = {};
    if (WSARecv(starting->socket, &buffer, 1, &bytes, &flags, &starting->common.overlapped, nullptr) == 0)
        starting->common.ended(&starting->common, bytes);
    else if (WSAGetLastError() != WSA_IO_PENDING)
        fail("WSARecv", WSAGetLastError());
}

template <typename Function> Function extension(SOCKET socket, GUID id)
{
    Function function;
    DWORD bytes = 0;
    if (WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), &function, sizeof(function), &bytes,
                 nullptr, nullptr) != 0)
        fail("no extension function", WSAGetLastError());
    return function;
}

} // namespace

LPFN_CONNECTEX connect_ex(SOCKET socket)
{
    static auto function = extension<LPFN_CONNECTEX>(socket, WSAID_CONNECTEX);
    return function;
}

LPFN_ACCEPTEX accept_ex(SOCKET socket)
{
    static auto function = extension<LPFN_ACCEPTEX>(socket, WSAID_ACCEPTEX);
    return function;
}

port::port()
{
    handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
    if (handle == nullptr)
        fail("CreateIoCompletionPort", static_cast<int>(GetLastError()));
}

void port::add_file(HANDLE file)
{
    const UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    if (CreateIoCompletionPort(file, handle, 0, 0) == nullptr || !SetFileCompletionNotificationModes(file, modes))
        fail("it cannot be on the port", static_cast<int>(GetLastError()));
}

void port::start_soon(task *wanted)
{
    wanted->next = nullptr;
    if (last != nullptr)
        last->next = wanted;
    else
        first = wanted;
    last = wanted;
}

void port::receive_soon(receive_operation *wanted)
{
    wanted->queued.start = start_receive;
    wanted->queued.context = wanted;
    start_soon(&wanted->queued);
}

bool port::send(SOCKET socket, WSABUF *buffers, DWORD count, operation *sending)
{
    DWORD bytes = 0;
    sending->overlapped = {};
    if (WSASend(socket, buffers, count, &bytes, 0, &sending->overlapped, nullptr) == 0)
        return true;
    if (WSAGetLastError() != WSA_IO_PENDING)
        fail("WSASend", WSAGetLastError());
    return false;
}

// Under Wine a batch that is not full costs a call more than its packets.
void port::adapt_batch(ULONG count)
{
    if (count < batch) {
        batch = count;
        full_batches = 0;
    } else if (++full_batches * batch >= patience) {
        batch = batch * 2 < max_packets ? batch * 2 : max_packets;
        full_batches = 0;
    }
}

bool port::take_packets(DWORD timeout_ms)
{
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    if (!GetQueuedCompletionStatusEx(handle, entries, batch, &count, timeout_ms, FALSE)) {
        if (GetLastError() != WAIT_TIMEOUT)
            fail("GetQueuedCompletionStatusEx", static_cast<int>(GetLastError()));
        return false;
    }
    adapt_batch(count);
    for (ULONG i = 0; i < count; ++i) {
        auto *ended = reinterpret_cast<operation *>(entries[i].lpOverlapped);
        if (ended->overlapped.Internal != 0)
            fail("an operation has failed", static_cast<int>(ended->overlapped.Internal));
        ended->ended(ended, entries[i].dwNumberOfBytesTransferred);
    }
    return true;
}

// What the last packets led to may have brought others, whose owners are to send before anybody receives.
void port::take_more_packets()
{
    if (vain_looks > 0) {
        --vain_looks;
        return;
    }
    while (first != nullptr && !stopped && take_packets(0)) {
    }
    vain_looks = looks_left_out;
}

void port::start_queued()
{
    for (int started = 0; first != nullptr && started < starts_per_look && !stopped; ++started) {
        task *next = first;
        first = next->next;
        if (first == nullptr)
            last = nullptr;
        next->start(next);
    }
}

void port::turn(bool wait)
{
    start_queued();
    if (!stopped && take_packets(first == nullptr && wait ? INFINITE : 0))
        take_more_packets();
}

void port::run()
{
    stopped = false;
    while (!stopped)
        turn(true);
}

} // namespace bench
