#include "real/pipe_pair.h"

namespace real {

static HANDLE server_end(const wchar_t *name, DWORD mode, DWORD quota)
{
    HANDLE server = CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                     mode | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, quota, quota, 0, nullptr);
    assert_true(server != INVALID_HANDLE_VALUE);
    return server;
}

static void next_name(wchar_t *name, size_t length)
{
    static unsigned count;
    swprintf(name, length, L"\\\\.\\pipe\\libevent-iocp-test-%lu-%u", GetCurrentProcessId(), ++count);
}

static void finish_connect(HANDLE server)
{
    OVERLAPPED overlapped = {};
    overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    assert_false(ConnectNamedPipe(server, &overlapped));
    assert_int_equal(GetLastError(), ERROR_PIPE_CONNECTED);
    CloseHandle(overlapped.hEvent);
}

static pipe_ends make_ends(DWORD mode, DWORD quota, DWORD client_flags, SECURITY_ATTRIBUTES *inherit)
{
    wchar_t name[80];
    next_name(name, sizeof(name) / sizeof(name[0]));
    pipe_ends ends;
    ends.server = server_end(name, mode, quota);
    ends.client = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, inherit, OPEN_EXISTING, client_flags, nullptr);
    assert_true(ends.client != INVALID_HANDLE_VALUE);
    DWORD read_mode = mode & PIPE_READMODE_MESSAGE;
    if (read_mode != 0)
        assert_true(SetNamedPipeHandleState(ends.client, &read_mode, nullptr, nullptr));
    finish_connect(ends.server);
    return ends;
}

pipe_ends make_pipe(DWORD mode, DWORD quota)
{
    return make_ends(mode, quota, FILE_FLAG_OVERLAPPED, nullptr);
}

pipe_ends make_pipe_for_child()
{
    SECURITY_ATTRIBUTES inherit = {sizeof(inherit), nullptr, TRUE};
    return make_ends(PIPE_TYPE_BYTE, 4096, 0, &inherit);
}

bool handle_is_open(HANDLE handle)
{
    DWORD flags;
    return GetHandleInformation(handle, &flags) != FALSE;
}

bool gets_closed(HANDLE handle)
{
    ULONGLONG deadline = GetTickCount64() + deadline_seconds * 1000;
    while (handle_is_open(handle) && GetTickCount64() < deadline)
        turns(1);
    return !handle_is_open(handle);
}

static void on_read(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<side *>(argument);
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length = evbuffer_get_length(input);
    if (self->echoes) {
        bufferevent_write_buffer(bev, input);
        return;
    }
    size_t before = self->heard.size();
    self->heard.resize(before + length);
    evbuffer_remove(input, &self->heard[before], length);
    if (self->stop != 0 && self->heard.size() >= self->stop)
        event_base_loopbreak(base);
}

static void on_event(struct bufferevent *, short what, void *argument)
{
    int error = EVUTIL_SOCKET_ERROR();
    auto *self = static_cast<side *>(argument);
    self->what = static_cast<short>(self->what | what);
    if ((what & BEV_EVENT_ERROR) != 0)
        self->error = error;
    if (self->stops_at_event)
        event_base_loopbreak(base);
}

void side_open(side *self, HANDLE handle, int options)
{
    *self = side();
    self->stops_at_event = true;
    self->bev = bufferevent_iocp_handle_new(base, handle, options);
    assert_non_null(self->bev);
    bufferevent_setcb(self->bev, on_read, nullptr, on_event, self);
    assert_int_equal(bufferevent_enable(self->bev, EV_READ | EV_WRITE), 0);
}

void side_free(side *self)
{
    if (self->bev != nullptr)
        bufferevent_free(self->bev);
    self->bev = nullptr;
}

void side_write(side *self, const std::string &bytes)
{
    assert_int_equal(bufferevent_write(self->bev, bytes.data(), bytes.size()), 0);
}

void hear(side *self, size_t bytes)
{
    self->stop = bytes;
    if (self->heard.size() < bytes)
        assert_true(run_loop());
    assert_true(self->heard.size() >= bytes);
}

void wait_for_event(side *self)
{
    self->stop = 0;
    if (self->what == 0)
        assert_true(run_loop());
    assert_true(self->what != 0);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
}

std::string pattern(size_t length, unsigned seed)
{
    std::string made(length, '\0');
    unsigned value = seed * 2654435761u + 1;
    for (char &byte : made) {
        value = value * 1664525u + 1013904223u;
        byte = static_cast<char>(value >> 24);
    }
    return made;
}

} // namespace real
