// What all benchmark programs share: the scenario from the command line, the measuring, the checking of bytes.
//
// A program is one peer (libevent, libuv, or Win32 alone). It offers rows, each some kind of work that is counted in
// units, such as round trips. main() sets a row up, runs it in phases of so many units, and prints for each phase what
// it took. Only what happens inside a phase is measured.
#ifndef LIBEVENT_IOCP_BENCH_H
#define LIBEVENT_IOCP_BENCH_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>

#include <stddef.h>

namespace bench {

struct scenario {
    const char *row = "pingpong";
    int connections = 1;
    int active = 1;     // connections that carry traffic
    size_t size = 64;   // bytes of one write
    int pieces = 1;     // writes that make up a message
    bool port = false;  // libevent: EVENT_BASE_FLAG_STARTUP_IOCP
    bool locks = false; // libevent: evthread_use_windows_threads
};

// Work that has been set up. It is never torn down: the process ends.
class work {
public:
    // Does so many units, and returns when the last is complete.
    virtual void run(long units) = 0;
    // Prints what else the row has seen, once all phases are over.
    virtual void report() {}
};

struct row {
    const char *name;
    work *(*set_up)(const scenario &);
};

// Supplied by the peer: its rows, up to one without a name, and what its loop runs on.
extern const row rows[];
const char *method(const scenario &);

[[noreturn]] void fail(const char *what, int error);
double seconds_now();

// Connection `index` of `active` ones does this many of a phase's units.
inline long share_of(long units, int active, int index)
{
    return units / active + (index < units % active ? 1 : 0);
}

// Messages are all alike: `pieces` times the same bytes without a pattern of their own.
const char *message_bytes();
void prepare_message(const scenario &);

// Compares a stream of messages with what it must be.
class message_check {
public:
    // Takes the next bytes; how many messages they complete. Wrong bytes end the program.
    int take(const char *data, size_t length);

private:
    size_t offset = 0;
};

// Delays of timers, in an order of their own, such that all are due soon after the last is added.
class timer_delays {
public:
    explicit timer_delays(long count) : most_us(count / 20 + 1) {}
    long next_us()
    {
        state = state * 1664525 + 1013904223;
        return static_cast<long>((state >> 8) % static_cast<unsigned>(most_us));
    }

private:
    long most_us;
    unsigned state = 1;
};

struct socket_pair {
    SOCKET client;
    SOCKET server;
};

// Connected over 127.0.0.1, TCP_NODELAY, blocking.
void connect_pair(socket_pair *pair);

struct pipe_pair {
    HANDLE client;
    HANDLE server;
};

void connect_pipe(pipe_pair *pair);
void set_nonblocking(SOCKET socket);
void set_no_delay(SOCKET socket);
sockaddr_in loopback(unsigned short port);

} // namespace bench

#endif
