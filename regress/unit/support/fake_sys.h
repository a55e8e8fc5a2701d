// A kernel made of nothing, linked in place of compat/sys*.cpp: the same functions, a clock that only waiting moves,
// and a seed that decides whatever a real kernel leaves open (which packet comes first, whether a cancelled operation
// had ended already, ...). This header is how a test steers it and asks what it saw.
//
// It holds callers to the rules: memory given to it stays allocated until the packet is taken, a handle is not used
// after it is closed, a port is not closed under an operation, nothing is called before startup or after cleanup. The
// first rule that is broken is printed with the seed, and complaint() returns it until the next boot().
//
// One thread only, also where a program would have several: what others do is scheduled (at).
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_SYS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_SYS_H

#include <functional>
#include <string>
#include <vector>

#include "compat/sys.h"

namespace iocp {
namespace fake {

// The functions of sys that can be made to fail and whose calls are counted.
enum class call {
    startup,
    port_create,
    port_associate,
    port_post,
    port_dequeue,
    skip_packet_on_success,
    cancel,
    afd_open,
    afd_poll,
    socket_type,
    look_now,
    base_socket,
    leave_port,
    receive,
    send,
    receive_now,
    connect,
    bind_any,
    finish_connect,
    accept,
    finish_accept,
    find_extensions,
    accept_addresses,
    accept_now,
    socket_like,
    set_blocking,
    set_inherited,
    file_transport,
    file_receive,
    file_send,
    view_read,
    plain_accept, // here and below: libevent's own calls, where a socket is not on the port
    plain_connect,
    plain_receive,
    plain_send,
    plain_option,
    thread_start,
    thread_sleep, // these two do not fail
    thread_yield,
    pipe_create,
    pipe_accept,
    pipe_open,
    pipe_is_duplex,
    directory_open,
    directory_read,
    wait_duplicate,
    wait_start,
    wait_stop,
    null_device_open,
    process_create,
    process_resume,
    event_create,
    count
};

// How often, out of a thousand, the kernel takes the less convenient of two ways.
struct chances {
    unsigned pends_although_ready; // an operation that could end in its call sends a packet instead
    unsigned written_late;         // the result is in memory only when the packet is taken
    unsigned reordered;            // a packet overtakes others
    unsigned delayed;              // a packet comes only after up to max_delay_us
    unsigned cancel_loses;         // a cancelled operation ends by what it waited for, if that was on the way
    unsigned shortage;             // starting an operation fails with WSAENOBUFS
    unsigned thread_ends;          // a poll that starts ends at once, cancelled by nobody we know
    unsigned short_transfer;       // fewer bytes than there were
    unsigned fails_in_call;        // an operation on a socket that fails at once does so without a packet
    unsigned odd_status;           // an operation on a socket fails with any status
    unsigned sends_end_early;      // an overlapped send has sent a part, as under Wine
    int64_t max_delay_us;
};

constexpr chances no_chances = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
// All but odd statuses, after which no connection can go on, and what Windows does not do.
constexpr chances all_chances = {300, 500, 200, 200, 300, 50, 10, 300, 300, 0, 0, 5000};

// What Windows holds a program to and Wine forgives, beyond what this kernel asks of everybody. Each is switched on
// once the code keeps it; a test that shows the rule itself sets it by hand.
struct rules {
    bool nothing_blocks;       // a receive or send that would wait, on a socket that blocks, is complained of
    bool close_over_operation; // a socket that is closed before an operation's packet was taken is complained of
    bool fin_at_once;  // the peer's end is told of while its last bytes have not been read, in half of all cases
    bool refused_late; // a refused connect takes two seconds, in half of all cases
};
constexpr rules kept_rules = {true, true, true, true};

// Forgets everything and starts anew. Also puts the guarded allocator in libevent's place.
void boot(uint64_t seed, const chances &odds = no_chances);
// What rule was broken first; NULL for none.
const char *complaint();
void complain(const char *format, ...);
// Complains of whatever should be gone when every base has been freed: handles, operations, memory, startups.
const char *complaint_after_free();
// The same where the program has left things unfreed that lived with the base: memory may be left, but not written to.
const char *complaint_after_base_free();
rules &held_to();
uint64_t random();
bool happens(unsigned permille);

// --- failures and figures -----------------------------------------------------------------------------------------
// The next `times` calls, after `after` that go on as usual, fail with `error`.
void fail_calls(call which, int error, unsigned times = 1, unsigned after = 0);
// What another thread does in the midst of the next such call.
void within(call which, std::function<void()> action);
uint64_t calls(call which);
size_t handles_open();
size_t operations_in_flight(); // started and their packet not yet taken
size_t polls_waiting(SOCKET socket);
size_t packets_queued();
int startups();
int precise_clock_users();
// The time-outs of all waits so far.
const std::vector<int64_t> &waits();
const std::vector<ULONG> &batch_sizes(); // how many packets each wait asked for

// --- time ----------------------------------------------------------------------------------------------------------
int64_t now_us();
uint64_t clock_reads(); // how often sys::now_ns was asked
void advance_us(int64_t by);
// What a look at the port takes that does not wait.
void set_look_cost_us(int64_t cost);
// What other threads and the network do: runs when a wait, or sys::let_others_run, reaches that time.
void at(int64_t time_us, std::function<void()> action);
// Waits end only on multiples of this, as with the clock interrupt of a real system.
void set_clock_grain_us(int64_t grain);

// So many other threads have dequeued from each port, and compute now.
void set_computing_threads(unsigned count);
// Runs in the next wait that is alertable, and ends it.
void queue_routine(std::function<void()> routine);

// --- packets -------------------------------------------------------------------------------------------------------
// While packets are held, operations end but their packets are seen only when released.
void hold_packets(bool hold);
bool release_first();
bool release_last();
void release_all();
// An overlapped call of the program's own, or of another process, on a socket has ended: in memory that may be
// anywhere.
void post_by_program(SOCKET socket, void *overlapped);
// Cancelled operations do not end any more, until let go.
void hold_cancelled(bool hold);
// What a cancel does next: as the seed says, or this.
enum class cancel_way { by_chance, wins, loses };
void set_cancel_way(cancel_way way);
// Every waiting operation ends with STATUS_CANCELLED, as when the thread that started it ends.
void end_starting_thread();

// --- waits for handles ---------------------------------------------------------------------------------------------
// Whether there are wait completion packets. Where not (so it is at first), a thread waits, and posts: at once, or when
// it is let go, or waited for.
void set_wait_packets(bool are_there);
void hold_wait_threads(bool hold);
enum class waitable_kind { manual, automatic, semaphore, mutex, no_rights };
HANDLE open_waitable(waitable_kind which, bool signalled = false);
void signal(HANDLE waitable); // of a semaphore, one more
void unsignal(HANDLE waitable);
bool is_signalled(HANDLE waitable);
void close_waitable(HANDLE waitable); // by the program
size_t waits_under_way();             // that nothing has satisfied

// --- child processes -----------------------------------------------------------------------------------------------
void child_ends(DWORD id, uint32_t exit_code);
// As others may do, once, before it runs: who starts it has not been told of it.
void next_child_ends_before_it_runs(uint32_t exit_code);
DWORD last_child();
size_t children_started();
size_t children_running();
size_t children_suspended();
void set_system_root(const std::wstring &value); // of the environment; empty: there is none

// --- sockets -------------------------------------------------------------------------------------------------------
enum class kind { stream, datagram, listener };

constexpr SOCKET first_socket = 0x1000000; // far from the numbers of real ones

SOCKET open_socket(kind which, ULONG level = 0); // the lowest number that is free
void set_level(SOCKET socket, ULONG level);      // AFD events that hold now
ULONG level(SOCKET socket);
bool is_open(SOCKET socket);
bool never_blocks(SOCKET socket);
void set_never_blocks(SOCKET socket, bool never_blocks); // a stream does not, unless the library made it
bool is_inherited(SOCKET socket);                        // by child processes, as all are that the library has not made
size_t sockets_inherited();
size_t sockets_open();
void close_by_program(SOCKET socket);
// Of the last socket that was closed, by anybody: what it had sent, whether its peer was told by a reset, and what that
// peer gets of it: after a reset no more than it had read.
struct closed_socket {
    std::string sent;
    bool was_reset;
    std::string delivered;
};
const closed_socket &last_closed();
bool sending_has_ended(SOCKET socket);
// AFD knows the socket only by the handle that base_socket returns from now on.
void put_layer_over(SOCKET socket);
bool is_on_port(SOCKET socket);

// --- data: what the peer does ------------------------------------------------------------------------------------
// What a peer does arrives at once or, by the chance that packets are late, a while after.
void connect_now(SOCKET socket);
bool is_whole(SOCKET socket); // it is connected, and knows it
void peer_sends(SOCKET socket, const std::string &bytes);
void peer_finishes(SOCKET socket);
void peer_resets(SOCKET socket);
// ICMP says something of a datagram that was sent: the socket is readable for it, unless it ignores that.
void report_arrives(SOCKET socket, sys::datagram_report which);
const std::string &sent(SOCKET socket);
void peer_reads(SOCKET socket); // all that was sent to it so far
// SO_LINGER with a time, by its program. While its peer has not read all, one that does not block refuses its close.
void set_waits_when_closed(SOCKET socket);
void set_send_room(SOCKET socket, size_t bytes); // sends wait while there is none
// The next operation on a socket that ends has this for its status, whatever else it would be.
void set_next_status(nt_status status);
nt_status random_failure();
constexpr int64_t refusal_us = 2 * 1000 * 1000;
// Of connects that start from now on, and of those that wait; STATUS_PENDING keeps them waiting.
void set_connect_result(nt_status status);

constexpr nt_status fate_taken = 0;
constexpr nt_status fate_reset = static_cast<nt_status>(0xC000020D);
constexpr nt_status fate_deleted = static_cast<nt_status>(0xC00000C9); // STATUS_NETNAME_DELETED
constexpr nt_status fate_shortage = static_cast<nt_status>(0xC000009A);

// Who connects to a listener.
struct client {
    uint16_t port;  // of its address
    nt_status fate; // how the AcceptEx ends that takes it, or the accept()
    std::string first_bytes;
};
void client_arrives(SOCKET listener, const client &who);
// The accepted socket of a client; INVALID_SOCKET if there is none (yet, or any more).
SOCKET socket_of_client(uint16_t port);
size_t accepts_waiting(SOCKET listener);
size_t clients_waiting(SOCKET listener);

// --- named pipes ---------------------------------------------------------------------------------------------------
// What clients may do: by the direction of the pipe, and by what is granted to them.
struct pipe_terms {
    bool to_client;
    bool to_server;
    bool may_read;
    bool may_write;
};
constexpr pipe_terms open_to_all = {true, true, true, true};

// --- directories ---------------------------------------------------------------------------------------------------
struct change {
    DWORD action; // FILE_ACTION_ADDED...
    std::wstring name;
};
void make_directory(const std::wstring &path);
void make_file(const std::wstring &path);
// Who watches it is told of these, all at once; what finds no read is kept, as much as the first read had room for.
void change_directory(const std::wstring &path, const std::vector<change> &changes);
// How often, out of a thousand, a read ends between the two names of a rename.
void split_renames(unsigned permille);
// Reads end with their directory, and no other begins; the name is free when all its handles are closed.
void delete_directory(const std::wstring &path);
// The read that is in flight ends so, whatever that means. False: there is none.
bool answer_read(const std::wstring &path, nt_status status, const std::string &bytes);
std::string written_changes(const std::vector<change> &changes);
bool is_read(const std::wstring &path); // by a read in flight
size_t directories_open();

} // namespace fake
} // namespace iocp

#endif
