// Questions to the kernel that the program runs on. What is asked is what the library takes for granted, or what
// decided how it was written; the answers of real systems are kept in answers/.
#ifndef LIBEVENT_IOCP_REGRESS_PROBE_H
#define LIBEVENT_IOCP_REGRESS_PROBE_H

#include <string>

#include "compat/sys.h"

namespace probe {

struct question {
    const char *name;
    const char *asks;
    const char *expected; // of Windows 10 and later, by Microsoft's documentation or as others report it; NULL: open
    const char *used_by;  // which part of ours would have to change
    std::string (*answer)();
    bool varies = false; // from run to run: a figure for the report, which no answer is compared with
};

struct questions {
    const question *first;
    unsigned count;
};

questions about_ports();
questions about_polls();
questions about_poll_states();
questions about_transfers();
questions about_closing();
questions about_connections();
questions about_errors();
questions about_costs();
questions about_directories();

// --- what they share
// --------------------------------------------------------------------------------------------------
constexpr int64_t soon_us = 1000 * 1000;   // a packet that is to come has come by then
constexpr int64_t at_once_us = 100 * 1000; // and one that is not, is taken for missing
constexpr int64_t patient_us = 8 * 1000 * 1000;

std::string text(const char *format, ...);

// A listener on 127.0.0.1, that blocks.
SOCKET listener(struct sockaddr_in *address);
struct pair {
    SOCKET here;
    SOCKET there;
};
pair connected();
void close(const pair &both);
// On a port of its own, with FILE_SKIP_COMPLETION_PORT_ON_SUCCESS if `skips`.
HANDLE port_of(SOCKET socket, bool skips);
// Takes one packet: true, and how its operation ended.
bool packet(HANDLE port, int64_t wait_us, OVERLAPPED **of, nt_status *status);
// "no packet", or the Winsock code of the socket's operation.
std::string packet_of(HANDLE port, SOCKET socket, int64_t wait_us);
// What the peer of a closed connection gets: "3 bytes, then the end".
std::string seen_by(SOCKET peer);
bool blocks(SOCKET socket);
int64_t now_us();

} // namespace probe

#endif
