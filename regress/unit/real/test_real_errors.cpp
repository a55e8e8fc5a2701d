// What programs are told of failed operations, by the real Winsock: codes that they know.
#include "real/real_base.h"

#include "compat/sys.h"

using namespace iocp;

namespace {

SOCKET some_socket;

int error_of(ULONG status)
{
    OVERLAPPED ended = {};
    ended.Internal = status;
    return sys::operation_error(some_socket, &ended);
}

bool is_known_to_programs(int error)
{
    return error >= WSABASEERR || error == WSA_OPERATION_ABORTED;
}

// Whatever a driver may end an operation with, in every facility.
void every_status_has_a_code(void **)
{
    constexpr ULONG severities[] = {0x80000000, 0xC0000000};
    constexpr ULONG facilities[] = {0x00000000, 0x00070000, 0x00090000, 0x00140000};
    constexpr ULONG codes = 0x800;
    for (ULONG severity : severities)
        for (ULONG facility : facilities)
            for (ULONG code = 0; code < codes; ++code) {
                ULONG status = severity | facility | code;
                if (!is_known_to_programs(error_of(status)) ||
                    !is_known_to_programs(sys::status_to_error(static_cast<nt_status>(status))))
                    fail_msg("status %08x gives %d and, of a poll, %d", static_cast<unsigned>(status), error_of(status),
                             sys::status_to_error(static_cast<nt_status>(status)));
            }
    assert_int_equal(error_of(0), 0);
    assert_int_equal(error_of(0x00000102), 0); // a success is one, whichever
}

struct known_status {
    ULONG status;
    int error;
};

void statuses_that_matter(void **)
{
    constexpr known_status known[] = {
        {0xC0000120, WSA_OPERATION_ABORTED}, {0xC000020D, WSAECONNRESET},   {0xC000013B, WSAECONNABORTED},
        {0xC0000241, WSAECONNABORTED},       {0xC0000236, WSAECONNREFUSED}, {0xC00000B5, WSAETIMEDOUT},
        {0xC000013F, WSAETIMEDOUT},          {0xC000023D, WSAEHOSTUNREACH}, {0xC000023C, WSAENETUNREACH},
        {0xC00000B0, WSAESHUTDOWN},          {0xC0000237, WSAEDISCON},      {0xC0000043, WSAEADDRINUSE},
        {0xC00000BC, WSAECONNREFUSED},       {0xC000009A, WSAENOBUFS},      {0xC00000A3, WSAENOBUFS},
        {0x80000005, WSAEMSGSIZE},
    };
    for (const known_status &each : known) {
        assert_int_equal(error_of(each.status), each.error);
        assert_int_equal(sys::status_to_error(static_cast<nt_status>(each.status)), each.error);
    }
    // AFD's own, where Winsock opens nothing: a want of handles.
    assert_int_equal(sys::status_to_error(static_cast<nt_status>(0xC000011F)), WSAEMFILE);
}

// Its packet comes all the same, and Winsock does not know the socket any more.
void a_socket_that_has_been_closed(void **)
{
    OVERLAPPED ended = {};
    ended.Internal = 0xC000020D;
    SOCKET closed = socket(AF_INET, SOCK_STREAM, 0);
    closesocket(closed);
    assert_int_equal(sys::operation_error(closed, &ended), WSAECONNRESET);
}

// What starts fail with, too.
void calls_that_fail(void **)
{
    OVERLAPPED overlapped = {};
    WSABUF nothing = {0, nullptr};
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    int unbound =
        sys::connect(some_socket, reinterpret_cast<struct sockaddr *>(&address), sizeof(address), &overlapped, false)
            .error;
    assert_true(is_known_to_programs(unbound));
    assert_int_equal(sys::receive(some_socket, &nothing, 1, &overlapped, false).error, WSAENOTCONN);
    assert_int_equal(sys::receive(INVALID_SOCKET, &nothing, 1, &overlapped, false).error, WSAENOTSOCK);
    DWORD bytes;
    assert_int_equal(sys::receive_now(INVALID_SOCKET, &nothing, 1, &bytes), WSAENOTSOCK);
}

int open_socket(void **)
{
    some_socket = socket(AF_INET, SOCK_STREAM, 0);
    return sys::startup();
}

// A program asks for the error of its own call after event_del, which cancels what may have ended already.
void a_cancel_leaves_the_last_error(void **)
{
    SOCKET idle = socket(AF_INET, SOCK_DGRAM, 0);
    OVERLAPPED nothing = {};
    WSASetLastError(WSAECONNREFUSED);
    assert_int_not_equal(sys::cancel(reinterpret_cast<HANDLE>(idle), &nothing), 0);
    assert_int_equal(WSAGetLastError(), WSAECONNREFUSED);
    closesocket(idle);
}

int close_it(void **)
{
    closesocket(some_socket);
    sys::cleanup();
    return 0;
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_code),        cmocka_unit_test(statuses_that_matter),
        cmocka_unit_test(a_socket_that_has_been_closed),  cmocka_unit_test(calls_that_fail),
        cmocka_unit_test(a_cancel_leaves_the_last_error),
    };
    real::start();
    return cmocka_run_group_tests_name("real errors", tests, open_socket, close_it);
}
