// Winsock's own translation of an operation's status, beside our table, which serves polls.
#include "probe.h"

namespace probe {

namespace {

constexpr ULONG statuses[] = {
    0xC0000120, 0xC0000008, 0xC0000024, 0xC0000010, 0xC000020D, 0xC000013C, 0xC000023F, 0xC000020C, 0xC000013B,
    0xC0000241, 0xC000009A, 0xC0000017, 0xC0000044, 0xC00000A1, 0xC0000236, 0xC00000B5, 0xC000023D, 0xC00000BE,
    0xC000023C, 0xC000023E, 0xC0000207, 0xC0000141, 0xC000020A, 0x80000005, 0xC0000238, 0xC000023A, 0xC0000140,
    0xC0000022, 0xC00000B0, 0xC0000237, 0xC0000209, 0xC0000043, 0xC000013F, 0xC000013E, 0xC00000C4, 0xC00000C9,
    0xC000023B, 0xC0000128, 0xC000012D, 0xC00000A3, 0xC00000BC, 0xC00000BF, 0xC0000001,
};

std::string differences()
{
    SOCKET any = socket(AF_INET, SOCK_STREAM, 0);
    std::string seen;
    for (ULONG status : statuses) {
        OVERLAPPED ended = {};
        DWORD bytes, flags;
        ended.Internal = status;
        int error = WSAGetOverlappedResult(any, &ended, &bytes, FALSE, &flags) ? 0 : WSAGetLastError();
        int ours = iocp::sys::status_to_error(static_cast<nt_status>(status));
        if (error != ours)
            seen += text("%s%08lx %d (ours %d)", seen.empty() ? "" : ", ", status, error, ours);
    }
    closesocket(any);
    return seen.empty() ? "none" : seen;
}

std::string of_a_closed_socket()
{
    SOCKET any = socket(AF_INET, SOCK_STREAM, 0);
    closesocket(any);
    OVERLAPPED ended = {};
    DWORD bytes, flags;
    ended.Internal = 0xC000020D;
    int error = WSAGetOverlappedResult(any, &ended, &bytes, FALSE, &flags) ? 0 : WSAGetLastError();
    return text("error %d", error);
}

const question all[] = {
    {"errors.table", "statuses for which Winsock has another code than our table", "none", "compat/sys_error",
     differences},
    {"errors.closed", "WSAGetOverlappedResult with a socket that was closed", "error 10038", "compat/sys_error",
     of_a_closed_socket},
};

} // namespace

questions about_errors()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
