// The kernel's door: waits for handles, told by a packet.
//
// Windows 8 and later have an object for it, which posts by itself (a "wait completion packet", documented since 2023).
// Before that, and under Wine, one of the threads that Windows keeps for RegisterWaitForSingleObject waits, 63 handles
// each, and its callback posts. Never both: where there are wait packets, registered waits go by them, too, and what a
// packet refuses ends the process there (STATUS_THREADPOOL_HANDLE_EXCEPTION, raised in the thread that registers).
#include <initializer_list>
#include <wchar.h>

#include "compat/sys.h"
#include "compat/sys_error.h"
#include "compat/sys_nt.h"

namespace iocp {
namespace sys {

namespace {

constexpr nt_status status_success = 0;
constexpr ACCESS_MASK wait_packet_all_access = 1;

// To post fails only for want of memory in the kernel, and a signal that it has consumed should not be lost then.
constexpr int max_posts = 5000;

void CALLBACK signalled(void *of, BOOLEAN)
{
    auto *self = static_cast<handle_wait *>(of);
    for (int i = 0; i < max_posts && !self->posted; ++i) {
        self->posted = PostQueuedCompletionStatus(self->port, 0, self->key, self->overlapped) != FALSE;
        if (!self->posted)
            Sleep(1);
    }
}

// The numbers from -1 to -6 stand for the calling process, thread and their tokens; -1 is INVALID_HANDLE_VALUE, too.
bool is_pseudo_handle(HANDLE handle)
{
    auto value = reinterpret_cast<intptr_t>(handle);
    return value < 0 && value >= -6;
}

// A mutex is the waiting thread's from then on. And a wait packet takes no completion port, nor a mutex.
bool is_kind_refused(HANDLE handle)
{
    constexpr ULONG object_type_information = 2;
    struct {
        unicode_string name; // first in what is returned, and its text lies behind
        ULONG_PTR room[64];
    } type = {};
    if (nt().query_object == nullptr ||
        nt().query_object(handle, object_type_information, &type, sizeof(type), nullptr) < 0)
        return false;
    for (const wchar_t *refused : {L"Mutant", L"IoCompletion"})
        if (type.name.length == wcslen(refused) * sizeof(wchar_t) &&
            wmemcmp(type.name.text, refused, wcslen(refused)) == 0)
            return true;
    return false;
}

// A wait for it and for what never comes consumes nothing, and fails where a wait for it alone would.
int try_wait(HANDLE handle)
{
    HANDLE both[] = {handle, CreateEventW(nullptr, TRUE, FALSE, nullptr)};
    if (both[1] == nullptr)
        return last_win32_code();
    int error = WaitForMultipleObjects(2, both, TRUE, 0) == WAIT_FAILED ? last_win32_code() : 0;
    CloseHandle(both[1]);
    return error;
}

int packet_error(nt_status status)
{
    int error = file_error(status);
    return is_want_of_memory(error) ? WSAENOBUFS : error;
}

int start_packet(handle_wait *self, HANDLE handle)
{
    if (self->packet == nullptr) {
        nt_status status = nt().create_wait_packet(&self->packet, wait_packet_all_access, nullptr);
        if (status < 0) {
            self->packet = nullptr;
            return packet_error(status);
        }
    }
    BOOLEAN already_signalled; // its packet comes all the same
    nt_status status = nt().associate_wait_packet(self->packet, self->port, handle, reinterpret_cast<void *>(self->key),
                                                  self->overlapped, status_success, 0, &already_signalled);
    if (status >= 0)
        return 0;
    wait_close(self);
    return packet_error(status);
}

int start_registration(handle_wait *self, HANDLE handle)
{
    constexpr ULONG how = WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE;
    if (RegisterWaitForSingleObject(&self->registration, handle, signalled, self, INFINITE, how))
        return 0;
    int error = last_win32_code();
    self->registration = nullptr;
    return error;
}

// Waits for the callback, if that is under way.
void give_back_registration(handle_wait *self)
{
    UnregisterWaitEx(self->registration, INVALID_HANDLE_VALUE);
    self->registration = nullptr;
}

} // namespace

int wait_duplicate(HANDLE given, HANDLE *own)
{
    if (given == nullptr || is_pseudo_handle(given))
        return ERROR_INVALID_HANDLE;
    HANDLE process = GetCurrentProcess();
    if (!DuplicateHandle(process, given, process, own, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return last_win32_code();
    int error = is_kind_refused(*own) ? ERROR_INVALID_PARAMETER : try_wait(*own);
    if (error != 0)
        CloseHandle(*own);
    return error;
}

int wait_start(handle_wait *self, HANDLE handle, HANDLE port, ULONG_PTR key, OVERLAPPED *overlapped)
{
    self->port = port;
    self->key = key;
    self->overlapped = overlapped;
    self->posted = false;
    return nt().create_wait_packet != nullptr ? start_packet(self, handle) : start_registration(self, handle);
}

bool wait_stop(handle_wait *self)
{
    // Pending: it is in the port's queue. Cancelled: it has been taken from there.
    if (self->registration == nullptr)
        return nt().cancel_wait_packet(self->packet, FALSE) != status_success;
    give_back_registration(self);
    return self->posted;
}

void wait_taken(handle_wait *self)
{
    if (self->registration != nullptr)
        give_back_registration(self);
}

void wait_close(handle_wait *self)
{
    if (self->packet != nullptr)
        CloseHandle(self->packet);
    self->packet = nullptr;
}

} // namespace sys
} // namespace iocp
