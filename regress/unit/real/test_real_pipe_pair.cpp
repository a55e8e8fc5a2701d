// A pipe for a child's standard handle, on the real kernel.
#include <string.h>

#include "real/real_base.h"

#include "event2/iocp.h"

namespace {

// As a child does: it blocks.
void blocking_end_moves(HANDLE reader, HANDLE writer)
{
    OVERLAPPED overlapped = {};
    overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    char bytes[8] = {};
    DWORD count = 0;
    assert_true(WriteFile(writer, "pipe", 4, &count, &overlapped) || GetLastError() == ERROR_IO_PENDING);
    assert_true(ReadFile(reader, bytes, sizeof(bytes), &count, &overlapped) || GetLastError() == ERROR_IO_PENDING);
    assert_int_equal(WaitForSingleObject(overlapped.hEvent, real::deadline_seconds * 1000), WAIT_OBJECT_0);
    assert_memory_equal(bytes, "pipe", 4);
    CloseHandle(overlapped.hEvent);
}

bool is_inherited(HANDLE handle)
{
    DWORD flags = 0;
    assert_true(GetHandleInformation(handle, &flags));
    return (flags & HANDLE_FLAG_INHERIT) != 0;
}

// A handle that is not overlapped can be on no port.
bool takes_a_port(HANDLE handle)
{
    HANDLE port = CreateIoCompletionPort(handle, nullptr, 0, 0);
    if (port != nullptr)
        CloseHandle(port);
    return port != nullptr;
}

void one_end_is_the_childs(int we_read)
{
    void *ours = nullptr, *theirs = nullptr;
    assert_int_equal(evutil_iocp_pipe_pair(&ours, &theirs, we_read), 0);
    assert_false(is_inherited(ours));
    assert_true(is_inherited(theirs));
    assert_int_equal(GetFileType(theirs), FILE_TYPE_PIPE);
    blocking_end_moves(we_read ? ours : theirs, we_read ? theirs : ours);
    DWORD count = 0;
    char byte = 0;
    OVERLAPPED overlapped = {};
    // The other direction is closed.
    assert_false(we_read ? ReadFile(theirs, &byte, 1, &count, nullptr) : WriteFile(theirs, &byte, 1, &count, nullptr));
    assert_int_equal(GetLastError(), ERROR_ACCESS_DENIED);
    assert_false(we_read ? WriteFile(ours, &byte, 1, &count, &overlapped)
                         : ReadFile(ours, &byte, 1, &count, &overlapped));
    assert_int_equal(GetLastError(), ERROR_ACCESS_DENIED);
    assert_false(takes_a_port(theirs));
    assert_true(takes_a_port(ours));
    CloseHandle(ours);
    CloseHandle(theirs);
}

void for_what_the_child_writes(void **)
{
    one_end_is_the_childs(1);
}

void for_what_the_child_reads(void **)
{
    one_end_is_the_childs(0);
}

void many_at_a_time(void **)
{
    constexpr int count = 200;
    void *ends[2 * count];
    for (int i = 0; i < count; ++i)
        assert_int_equal(evutil_iocp_pipe_pair(&ends[2 * i], &ends[2 * i + 1], i % 2), 0);
    for (void *end : ends)
        CloseHandle(end);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_what_the_child_writes),
        cmocka_unit_test(for_what_the_child_reads),
        cmocka_unit_test(many_at_a_time),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
