// A listener on a pipe, on the real kernel, with clients that are plain Win32 calls.
#include <set>
#include <string>

#include "real/real_base.h"

#include "../real/accounting.h"
#include "compat/sys.h"

#include "event2/iocp.h"

using namespace real;

namespace {

const char *const name = "\\\\.\\pipe\\libevent-iocp-test-\xc3\xbcml\xc3\xa4ut"; // in UTF-8
const wchar_t *const path = L"\\\\.\\pipe\\libevent-iocp-test-\u00fcml\u00e4ut";

struct evpipelistener *listener;
std::set<HANDLE> told;
size_t awaited;

void on_client(struct evpipelistener *, void *handle, void *)
{
    assert_true(told.insert(handle).second);
    if (told.size() == awaited)
        event_base_loopbreak(base);
}

void listen(int instances = 0, void *security = nullptr)
{
    listener = evpipelistener_iocp_new(base, name, instances, security, on_client, nullptr);
    assert_non_null(listener);
}

HANDLE open_pipe(const wchar_t *of = path)
{
    return CreateFileW(of, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
}

bool await(size_t count)
{
    awaited = count;
    return told.size() >= count || run_loop();
}

void close_told()
{
    for (HANDLE handle : told)
        CloseHandle(handle);
    told.clear();
}

int begin(void **state)
{
    told.clear();
    return set_up(state);
}

// What a client has written is there, and the end behind it.
void reads(HANDLE handle, const std::string &expected)
{
    char bytes[16] = {};
    DWORD count = 0;
    OVERLAPPED overlapped = {};
    overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    // The port is not to have these packets.
    OVERLAPPED *quiet = &overlapped;
    HANDLE marked = reinterpret_cast<HANDLE>(reinterpret_cast<ULONG_PTR>(overlapped.hEvent) | 1);
    overlapped.hEvent = marked;
    assert_true(ReadFile(handle, bytes, sizeof(bytes), nullptr, quiet) || GetLastError() == ERROR_IO_PENDING);
    assert_true(GetOverlappedResult(handle, quiet, &count, TRUE));
    assert_string_equal(bytes, expected.c_str());
    assert_false(ReadFile(handle, bytes, sizeof(bytes), nullptr, quiet) ||
                 (GetLastError() == ERROR_IO_PENDING && GetOverlappedResult(handle, quiet, &count, TRUE)));
    assert_int_equal(GetLastError(), ERROR_BROKEN_PIPE);
    CloseHandle(reinterpret_cast<HANDLE>(reinterpret_cast<ULONG_PTR>(marked) & ~ULONG_PTR{1}));
}

void one_after_another(void **)
{
    listen();
    for (size_t i = 1; i <= 200; ++i) {
        HANDLE client = open_pipe();
        assert_ptr_not_equal(client, INVALID_HANDLE_VALUE);
        DWORD count = 0;
        assert_true(WriteFile(client, "hello", 5, &count, nullptr));
        assert_true(await(1));
        CloseHandle(client);
        reads(*told.begin(), "hello");
        close_told();
    }
    evpipelistener_iocp_free(listener);
}

// As who knows of no port waits: without an event, for the handle itself.
void waited_for_by_the_handle(void **)
{
    listen();
    HANDLE client = open_pipe();
    assert_true(await(1));
    HANDLE handle = *told.begin();
    char bytes[16] = {};
    DWORD count = 0;
    OVERLAPPED overlapped = {};
    assert_false(ReadFile(handle, bytes, sizeof(bytes), nullptr, &overlapped));
    assert_int_equal(GetLastError(), ERROR_IO_PENDING);
    assert_true(WriteFile(client, "hello", 5, &count, nullptr));
    assert_int_equal(WaitForSingleObject(handle, 10000), WAIT_OBJECT_0);
    assert_true(GetOverlappedResult(handle, &overlapped, &count, FALSE));
    assert_string_equal(bytes, "hello");
    CloseHandle(client);
    close_told();
    evpipelistener_iocp_free(listener);
}

// A client that came, wrote and went before anybody waited for it: the call says ERROR_NO_DATA, and no byte is lost.
void came_and_went_before(void **)
{
    HANDLE instance = nullptr;
    assert_int_equal(iocp::sys::pipe_create(path, {true, true, true, 0, nullptr}, &instance), 0);
    HANDLE client = open_pipe();
    assert_ptr_not_equal(client, INVALID_HANDLE_VALUE);
    DWORD count = 0;
    assert_true(WriteFile(client, "hello", 5, &count, nullptr));
    CloseHandle(client);
    OVERLAPPED overlapped = {};
    assert_true(iocp::sys::pipe_accept(instance, &overlapped, true).how == iocp::sys::started::done);
    reads(instance, "hello");
    CloseHandle(instance);
}

// Those who find it busy wait by Windows' own means.
DWORD WINAPI knock(void *)
{
    for (;;) {
        HANDLE client = open_pipe();
        if (client != INVALID_HANDLE_VALUE)
            return static_cast<DWORD>(reinterpret_cast<ULONG_PTR>(client));
        if (GetLastError() != ERROR_PIPE_BUSY)
            return 0;
        WaitNamedPipeW(path, 100);
    }
}

void many_at_once(void **)
{
    constexpr int count = 50;
    HANDLE threads[count];
    listen(2);
    for (HANDLE &thread : threads)
        thread = CreateThread(nullptr, 0, knock, nullptr, 0, nullptr);
    assert_true(await(count));
    for (HANDLE thread : threads) {
        DWORD client = 0;
        WaitForSingleObject(thread, INFINITE);
        GetExitCodeThread(thread, &client);
        assert_int_not_equal(client, 0);
        CloseHandle(reinterpret_cast<HANDLE>(static_cast<ULONG_PTR>(client)));
        CloseHandle(thread);
    }
    close_told();
    evpipelistener_iocp_free(listener);
}

// Wine 8 does not know FILE_FLAG_FIRST_PIPE_INSTANCE, nor does it look at a pipe's descriptor.
bool kernel_guards_names()
{
    HANDLE first = nullptr, second = nullptr;
    assert_int_equal(iocp::sys::pipe_create(path, {true, true, true, 0, nullptr}, &first), 0);
    int error = iocp::sys::pipe_create(path, {true, true, true, 0, nullptr}, &second);
    CloseHandle(first);
    if (error == 0)
        CloseHandle(second);
    return error == ERROR_ACCESS_DENIED;
}

void name_is_refused(const char *called)
{
    assert_null(evpipelistener_iocp_new(base, called, 0, nullptr, on_client, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_ACCESS_DENIED);
}

void nobody_squats(void **)
{
    if (!kernel_guards_names())
        skip();
    listen();
    name_is_refused(name);
    name_is_refused("\\\\.\\PIPE\\LIBEVENT-IOCP-TEST-\xc3\xbcML\xc3\xa4UT"); // pipes know no case
    evpipelistener_iocp_free(listener);
    HANDLE squatter = nullptr;
    assert_int_equal(iocp::sys::pipe_create(path, {true, true, false, 0, nullptr}, &squatter), 0);
    name_is_refused(name);
    CloseHandle(squatter);
}

// However many clients there were.
void its_name_is_free_at_once(void **)
{
    for (int i = 0; i < 100; ++i) {
        listen(1 + i % 5);
        HANDLE client = i % 2 == 0 ? open_pipe() : INVALID_HANDLE_VALUE;
        evpipelistener_iocp_free(listener);
        if (client != INVALID_HANDLE_VALUE)
            CloseHandle(client);
        assert_ptr_equal(open_pipe(), INVALID_HANDLE_VALUE);
        assert_int_equal(GetLastError(), ERROR_FILE_NOT_FOUND);
    }
    assert_int_equal(told.size(), 0);
}

LONG told_elsewhere;

void on_client_elsewhere(struct evpipelistener *, void *handle, void *)
{
    InterlockedIncrement(&told_elsewhere);
    CloseHandle(handle);
}

DWORD WINAPI listen_and_free(void *)
{
    for (int i = 0; i < 200; ++i) {
        struct evpipelistener *own =
            evpipelistener_iocp_new(base, name, 1 + i % 4, nullptr, on_client_elsewhere, nullptr);
        if (own == nullptr)
            break;
        HANDLE client = i % 3 != 0 ? open_pipe() : INVALID_HANDLE_VALUE;
        if (i % 5 == 0)
            Sleep(1);
        evpipelistener_iocp_free(own);
        LONG before = told_elsewhere;
        if (client != INVALID_HANDLE_VALUE)
            CloseHandle(client);
        if (open_pipe() != INVALID_HANDLE_VALUE || told_elsewhere != before)
            break;
        ++callbacks;
    }
    event_base_loopexit(base, nullptr);
    return 0;
}

// While the loop runs and tells.
void freed_by_another_thread(void **)
{
    struct event *kept = event_new(base, -1, EV_PERSIST, count_only, nullptr);
    struct timeval limit = {deadline_seconds, 0};
    event_add(kept, &limit);
    callbacks = 0;
    HANDLE thread = CreateThread(nullptr, 0, listen_and_free, nullptr, 0, nullptr);
    event_base_dispatch(base);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    event_free(kept);
    assert_int_equal(callbacks, 200);
    assert_true(told_elsewhere > 0);
}

void waits_while_disabled(void **)
{
    listen(2);
    evpipelistener_iocp_disable(listener);
    HANDLE clients[] = {open_pipe(), open_pipe()};
    assert_ptr_equal(open_pipe(), INVALID_HANDLE_VALUE);
    assert_int_equal(GetLastError(), ERROR_PIPE_BUSY);
    look();
    assert_int_equal(told.size(), 0);
    evpipelistener_iocp_enable(listener);
    assert_true(await(2));
    for (HANDLE client : clients)
        CloseHandle(client);
    close_told();
    evpipelistener_iocp_free(listener);
}

// The descriptor, in either form, is forgotten by its program as soon as the listener has been made.
void guarded(bool relative, bool looked_at)
{
    SECURITY_DESCRIPTOR absolute;
    ACL nobody;
    char whole[256];
    DWORD length = sizeof(whole);
    InitializeSecurityDescriptor(&absolute, SECURITY_DESCRIPTOR_REVISION);
    InitializeAcl(&nobody, sizeof(nobody), ACL_REVISION);
    SetSecurityDescriptorDacl(&absolute, TRUE, &nobody, FALSE);
    assert_true(MakeSelfRelativeSD(&absolute, whole, &length));
    SECURITY_ATTRIBUTES attributes = {sizeof(attributes), relative ? static_cast<void *>(whole) : &absolute, TRUE};
    listen(2, &attributes);
    memset(&absolute, 0x55, sizeof(absolute));
    memset(whole, 0x55, sizeof(whole));
    memset(&attributes, 0x55, sizeof(attributes));
    HANDLE client = open_pipe();
    if (looked_at) {
        assert_ptr_equal(client, INVALID_HANDLE_VALUE);
        assert_int_equal(GetLastError(), ERROR_ACCESS_DENIED);
    } else {
        DWORD flags = 0;
        assert_true(await(1));
        assert_true(GetHandleInformation(*told.begin(), &flags));
        assert_int_equal(flags & HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
        CloseHandle(client);
        close_told();
    }
    evpipelistener_iocp_free(listener);
}

void security(void **)
{
    bool looked_at = kernel_guards_names();
    guarded(true, looked_at);
    guarded(false, looked_at);
    SECURITY_ATTRIBUTES wrong = {sizeof(wrong), &wrong, FALSE};
    assert_null(evpipelistener_iocp_new(base, name, 0, &wrong, on_client, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), ERROR_INVALID_SECURITY_DESCR);
}

void leaves_no_handles(void **state)
{
    unsigned long before = 0;
    for (int i = 0; i < 20; ++i) {
        assert_int_equal(begin(state), 0);
        listen();
        HANDLE client = open_pipe(), other = open_pipe();
        assert_true(await(1));
        evpipelistener_iocp_free(listener);
        CloseHandle(client);
        CloseHandle(other);
        close_told();
        tear_down(state);
        if (i == 5)
            before = accounting::open_handles();
    }
    assert_int_equal(accounting::open_handles(), before);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_after_another, begin, tear_down),
        cmocka_unit_test_setup_teardown(waited_for_by_the_handle, begin, tear_down),
        cmocka_unit_test_setup_teardown(came_and_went_before, begin, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once, begin, tear_down),
        cmocka_unit_test_setup_teardown(nobody_squats, begin, tear_down),
        cmocka_unit_test_setup_teardown(its_name_is_free_at_once, begin, tear_down),
        cmocka_unit_test_setup_teardown(freed_by_another_thread, begin, tear_down),
        cmocka_unit_test_setup_teardown(waits_while_disabled, begin, tear_down),
        cmocka_unit_test_setup_teardown(security, begin, tear_down),
        cmocka_unit_test(leaves_no_handles),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
