// Named tests of what our bufferevents and listeners promise, each also run against libevent's own IOCP, where some of
// them fail: the names begin with the promise (r1 ... r15), the defect (s1 ... s20; both in regress/promises.md) or the
// report in libevent's tracker (row255 ...) that they belong to; tls_ is what an OpenSSL bufferevent does as on select;
// others name the kind of thing that a program does (output_, cancel_, close_, exit_, number_ ...), and that it has the
// outcome it has on select. What only our library has is for it alone (own_parts.h).
//
// One program a library, one process a test: run_guarantees.py runs them all and prints the table.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_GUARANTEES_H
#define LIBEVENT_IOCP_REGRESS_PARITY_GUARANTEES_H

#include "peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <stdio.h>

namespace parity {

struct guarantee {
    const char *name;
    bool (*holds)(struct event_base *base); // NULL: ends the table
};

extern const guarantee reading_guarantees[];
extern const guarantee writing_guarantees[];
extern const guarantee connecting_guarantees[];
extern const guarantee listening_guarantees[];
extern const guarantee freeing_guarantees[];
extern const guarantee http_guarantees[];
extern const guarantee http_row_guarantees[];
extern const guarantee fairness_guarantees[];
extern const guarantee thread_guarantees[];
extern const guarantee cleanup_guarantees[];
extern const guarantee surgery_guarantees[];
extern const guarantee cancelling_guarantees[];
extern const guarantee closing_guarantees[];
extern const guarantee children_guarantees[];
extern const guarantee number_guarantees[];
extern const guarantee sharing_guarantees[];
extern const guarantee sharing_order_guarantees[];
extern const guarantee spreading_guarantees[];
extern const guarantee program_guarantees[];
extern const guarantee plain_guarantees[];
extern const guarantee beside_guarantees[];
extern const guarantee memory_guarantees[];
extern const guarantee exiting_guarantees[];
// With OpenSSL only.
extern const guarantee tls_opening_guarantees[];
extern const guarantee tls_data_guarantees[];
extern const guarantee tls_limit_guarantees[];
extern const guarantee tls_ending_guarantees[];
extern const guarantee tls_slow_guarantees[];
extern const guarantee tls_412_guarantees[];

// Of what only one of the libraries has: its own tables (own_parts.h), and NULL.
extern const guarantee *const own_guarantees[];

// Tells which condition does not hold, and ends the test.
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                           \
            return false;                                                                                              \
        }                                                                                                              \
    } while (0)

// What a bufferevent has called back.
struct record {
    struct bufferevent *bev;
    connection on;
    int reads;
    int writes;
    int connected;
    int ended;
    int errors;
    int timeouts;
    int error; // the socket error of the first ERROR
    bool wrong_thread;
    bool inside_call; // set by the test around a call
    bool called_inside;
    std::string data; // taken from the input by the read callback
};

// Another base of the kind under test.
struct event_base *new_base();
// Runs the loop until something happens, but no longer than a millisecond.
void turn(struct event_base *base);
// Runs some turns in which a thing that must not happen could.
void some_turns(struct event_base *base);

constexpr DWORD deadline_ms = 10000;
constexpr int max_waiting_turns = 4000;

// Gives up when both are over: turns that find something to do are many in a moment, and a machine that is busy makes few
// of those that wait.
template <class Condition> bool run_until(struct event_base *base, Condition condition)
{
    ULONGLONG end = GetTickCount64() + deadline_ms;
    for (int i = 0; i < max_waiting_turns || GetTickCount64() < end; ++i) {
        if (condition())
            return true;
        turn(base);
    }
    return condition();
}

// A connected bufferevent that notes its callbacks. The record must outlive it.
bool open_pair(struct event_base *base, record *into, int options);
// The same, without a descriptor yet.
bool open_unconnected(struct event_base *base, record *into, int options);
void note_callbacks(record *into);
// Frees the bufferevent, if it is there, and closes what is left.
void close_pair(record *of);

// Small buffers on both sides, and output until the kernel takes no more: a send is in flight where sends are
// overlapped.
bool fill_connection(struct event_base *base, record *of, const std::string &data);
// Runs the loop until the kernel takes no more of what `of` has to write.
bool run_until_full(struct event_base *base, struct bufferevent *of);
// Sends past libevent, until the kernel takes no more. False: it always does.
bool fill_kernel(SOCKET one);
// Takes what the kernel has for the peer, and what a send in flight adds meanwhile, the loop standing still: such a
// send has then ended, and its packet waits.
void empty_kernel(connection *on, std::string *got);

// What libevent has allocated and not freed, as counted from the program's beginning.
long live_blocks();
size_t live_bytes();
// Of libevent's allocations from now on, `count` fail from the `first`th on; 0: none. Returns how many there were since
// it was called last.
long fail_allocations(long first, long count);
// The next `count` allocations are neither counted nor fail.
void spare_allocations(long count);

// Where the library has event2/iocp.h, accepts wait for first data from now on. False: it could not be asked for.
bool ask_for_first_data(struct evconnlistener *listener);
// Where it has, and the base is on the port, what a closed socket had to send may stay there for a tenth of a second.
bool limit_lingering(struct event_base *base);

std::string pattern(int id, size_t from, size_t length);
// Reads from the peer until it has `length` bytes. False: there were fewer before the end, an error or the last turn.
bool peer_reads(struct event_base *base, connection *on, std::string *got, size_t length);
// The same, until the end or an error, whatever comes before: `far_ended` and `far_reset` say which.
bool peer_reads_to_the_end(struct event_base *base, connection *on, std::string *got);

// One that listens, and does not wait; its address is filled in. INVALID_SOCKET: there is none.
SOCKET listening_socket(int backlog, struct sockaddr_in *address);
// One that connects, and stays until it is closed.
SOCKET client_of(struct sockaddr_in address);

// Waits for another thread: only that such a wait ends is asserted, not when.
template <class Condition> bool comes_true(Condition condition)
{
    for (ULONGLONG end = GetTickCount64() + deadline_ms; GetTickCount64() < end; Sleep(1))
        if (condition())
            return true;
    return condition();
}

} // namespace parity

#endif
