#include "peer_pipe.h"

#include <stdio.h>

namespace parity {

namespace {

// What the peer may send lies in the kernel, read or not: its writes do not wait.
constexpr DWORD room_for_all = max_sent + 40 * 1024;

// 0: each write waits for its reader.
constexpr DWORD rooms[] = {0, 4096, 16 * 1024, 64 * 1024};

HANDLE handle_of(SOCKET end)
{
    return reinterpret_cast<HANDLE>(end);
}

DWORD room_of(unsigned form)
{
    return rooms[form >> room_shift & 3];
}

HANDLE server_make(const char *name, unsigned form)
{
    bool is_near = (form & near_is_server) != 0;
    bool messages = (form & of_messages) != 0;
    DWORD mode = messages ? PIPE_TYPE_MESSAGE : PIPE_TYPE_BYTE;
    if (is_near && messages && (form & read_by_messages) != 0)
        mode |= PIPE_READMODE_MESSAGE;
    DWORD from_near = room_of(form);
    return CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | (is_near ? FILE_FLAG_OVERLAPPED : 0), mode, 1,
                            is_near ? from_near : room_for_all, is_near ? room_for_all : from_near, 0, nullptr);
}

HANDLE client_make(const char *name, unsigned form)
{
    bool is_near = (form & near_is_server) == 0;
    HANDLE made = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                              is_near ? FILE_FLAG_OVERLAPPED : 0, nullptr);
    DWORD mode = PIPE_READMODE_MESSAGE;
    if (made != INVALID_HANDLE_VALUE && is_near && (form & of_messages) != 0 && (form & read_by_messages) != 0)
        SetNamedPipeHandleState(made, &mode, nullptr, nullptr);
    return made;
}

// For calls whose end is looked at at once: the low bit of its event keeps a packet from the port.
OVERLAPPED *by_hand()
{
    static OVERLAPPED used;
    static HANDLE event;
    if (event == nullptr)
        event = CreateEventA(nullptr, TRUE, FALSE, nullptr);
    used = {};
    used.hEvent = reinterpret_cast<HANDLE>(reinterpret_cast<ULONG_PTR>(event) | 1);
    return &used;
}

bool pipe_make(connection *made)
{
    static unsigned number;
    char name[80];
    snprintf(name, sizeof(name), "\\\\.\\pipe\\parity-%lu-%u", GetCurrentProcessId(), number++);
    HANDLE server = server_make(name, made->form);
    HANDLE client = client_make(name, made->form);
    if (server == INVALID_HANDLE_VALUE || client == INVALID_HANDLE_VALUE)
        return false;
    bool server_is_near = (made->form & near_is_server) != 0;
    // The client has come already.
    if (ConnectNamedPipe(server, server_is_near ? by_hand() : nullptr) || GetLastError() != ERROR_PIPE_CONNECTED)
        return false;
    made->near_end = reinterpret_cast<SOCKET>(server_is_near ? server : client);
    made->far_end = reinterpret_cast<SOCKET>(server_is_near ? client : server);
    return true;
}

int pipe_send(connection *on, const char *data, int bytes)
{
    DWORD done = 0;
    if ((on->form & of_messages) != 0 && (on->form & empty_messages) != 0)
        WriteFile(handle_of(on->far_end), data, 0, &done, nullptr);
    bool sent = bytes == 0 || WriteFile(handle_of(on->far_end), data, static_cast<DWORD>(bytes), &done, nullptr);
    return sent ? static_cast<int>(done) : -1;
}

// Of what has come alone, so that it does not wait. Either end.
int pipe_receive(SOCKET end, char *buffer, int room)
{
    DWORD available = 0;
    if (!PeekNamedPipe(handle_of(end), nullptr, 0, nullptr, &available, nullptr)) {
        auto error = static_cast<int>(GetLastError());
        WSASetLastError(error);
        return error == ERROR_BROKEN_PIPE || error == ERROR_PIPE_NOT_CONNECTED ? 0 : -1;
    }
    if (available == 0) {
        WSASetLastError(WSAEWOULDBLOCK);
        return -1;
    }
    if (available > static_cast<DWORD>(room))
        available = static_cast<DWORD>(room);
    OVERLAPPED *overlapped = by_hand();
    DWORD done = 0;
    bool asked = ReadFile(handle_of(end), buffer, available, nullptr, overlapped) ||
                 GetLastError() == ERROR_IO_PENDING || GetLastError() == ERROR_MORE_DATA;
    bool has =
        asked && (GetOverlappedResult(handle_of(end), overlapped, &done, TRUE) || GetLastError() == ERROR_MORE_DATA);
    return has ? static_cast<int>(done) : -1;
}

// It is, from the beginning.
void pipe_narrow(connection *)
{
}

void pipe_close(SOCKET end)
{
    CloseHandle(handle_of(end));
}

} // namespace

const carrier by_pipe = {pipe_make, pipe_send, pipe_receive, pipe_narrow, pipe_close};

std::string describe_form(unsigned form)
{
    std::string text = (form & near_is_server) != 0 ? "a server's end" : "a client's end";
    text += (form & of_messages) == 0        ? ", bytes"
            : (form & read_by_messages) == 0 ? ", messages read as bytes"
                                             : ", messages";
    if ((form & of_messages) != 0 && (form & empty_messages) != 0)
        text += " and empty ones";
    return text + ", room for " + std::to_string(room_of(form));
}

} // namespace parity
