// Servers whose clients are other processes: what the programs of all peers share.
//
// A program of a peer listens on two ports of 127.0.0.1, which it prints. On one it sends back what comes. The other is
// for whoever measures: a byte 'm' makes a mark in the traces, is answered by itself, and has the bytes sent back so far
// printed; 'q' ends the program, which frees all that it has.
#ifndef LIBEVENT_IOCP_BENCH_SERVE_H
#define LIBEVENT_IOCP_BENCH_SERVE_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stddef.h>

namespace bench {

struct serving {
    bool port = false;  // libevent: EVENT_BASE_FLAG_STARTUP_IOCP
    bool locks = false; // libevent: evthread_use_windows_threads
};

// Supplied by the peer: serves until it is told to end.
void serve(const serving &);

[[noreturn]] void fail(const char *what, int error);
sockaddr_in any_port();
void print_method(const char *method);
// `kind` is "echo" or "control".
void print_port(const char *kind, SOCKET listener);
void count_echo(size_t bytes);

// What a byte on the control connection asks for: it is to be sent back, or the program is to end.
enum class control { answer, end };
control obey(char command);

} // namespace bench

#endif
