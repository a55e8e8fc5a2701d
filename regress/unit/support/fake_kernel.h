// The fake kernel's own state, shared by its files.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_KERNEL_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_KERNEL_H

#include <deque>
#include <map>
#include <memory>

#include "support/fake_sys.h"

namespace iocp {
namespace fake {

constexpr nt_status status_success = 0;
constexpr nt_status status_pending = 0x00000103;
constexpr nt_status status_cancelled = static_cast<nt_status>(0xC0000120);
constexpr nt_status status_connection_reset = static_cast<nt_status>(0xC000020D);
constexpr nt_status status_refused = static_cast<nt_status>(0xC0000236);
constexpr nt_status status_local_disconnect = static_cast<nt_status>(0xC000013B);

// What a packet's way depends on: the port that a handle was associated with.
struct association {
    HANDLE port;
    ULONG_PTR key;
    bool skips; // an operation that ends in its call sends no packet
};

struct file_object {
    bool is_port;
    association to;
    DWORD max_threads; // of a port
    bool signals_no_end;
};

enum class work { poll, receive, send, connect, accept, pipe_accept, directory, wait };

struct operation {
    work what;
    HANDLE file;
    association to;
    OVERLAPPED *overlapped;
    SOCKET socket;
    sys::afd_poll_info *info; // of a poll
    ULONG asked;
    uint64_t serial;
    std::vector<WSABUF> buffers; // of a transfer; of an accept, its buffer
    std::string received;        // goes into the buffers when the result is written
    DWORD data_length;
    DWORD address_length;
    SOCKET accepted;
    bool has_client;
    nt_status planned; // a connect's outcome
    bool on_the_way;   // and it has not come yet
    bool waits;        // a send that did not end in its call
    bool ended;
    bool held; // cancelled while hold_cancelled
    bool written;
    nt_status status;
    DWORD bytes;
    ULONG events;
};

struct packet {
    HANDLE port;
    ULONG_PTR key;
    DWORD bytes;
    OVERLAPPED *overlapped;
    bool of_operation;
    bool released;
    int64_t visible_at;
};

struct socket_object {
    kind which;
    ULONG level; // set by the test; to which the data below add
    association to;
    SOCKET base; // what AFD knows it by
    bool layer;  // known to AFD by `base` only
    bool base_of_layer;
    bool ignores_report[2]; // by datagram_report
    bool has_report;
    bool never_blocks;
    bool inherited;
    uint64_t serial; // no other socket ever has it
    bool bound;
    bool connected;
    bool whole; // what is connected by ConnectEx or AcceptEx is so only after a last step
    int64_t connected_at;
    SOCKET listener; // whose AcceptEx it was given to
    uint16_t peer_port;

    bool finished;
    bool tells_end_early;
    bool reset;
    bool sending_ended;
    bool resets_when_closed;
    bool waits_when_closed; // SO_LINGER with a time
    std::string inbox;
    std::string coming; // sent by the peer, and not here yet
    bool finish_coming;
    std::string sent;
    size_t read_by_peer; // of it
    size_t send_room;
    nt_status connect_failed; // of a plain connect
    std::deque<client> backlog;
    std::deque<client> clients_coming;
    std::vector<OVERLAPPED *> waiting; // operations that have not ended
};

// One instance of a pipe that is listened on, see fake_pipe_listen.h.
struct pipe_object {
    std::wstring path;
    OVERLAPPED *waiting;
    bool has_client;
    pipe_terms terms;
};

// A handle of one.
struct directory_object {
    std::wstring path;
    size_t room; // of the first read: what is kept in between
    size_t kept_bytes;
    std::vector<change> kept;
    bool lost;
};

struct directory_name {
    bool is_file;
    bool deleted;
};

// What can be waited for, by the handles that it has.
struct waitable {
    waitable_kind which;
    LONG count; // of a semaphore; of others 1 if it is signalled
};

struct waiting {
    sys::handle_wait *memory;
    std::shared_ptr<waitable> object;
    OVERLAPPED *overlapped;
    bool satisfied; // its thread is about to post
};

struct child_object {
    HANDLE process; // the one that its creator has
    HANDLE thread;
    std::shared_ptr<waitable> object;
    DWORD id;
    uint32_t exit_code;
    bool resumed;
    bool ended;
};

struct failure {
    int error;
    unsigned times;
    unsigned after;
};

struct thread_object {
    void (*run)(void *);
    void *argument;
};

struct event_object {
    bool stays_set;
    bool set;
};

struct scheduled {
    int64_t time;
    std::function<void()> action;
};

struct kernel {
    uint64_t seed;
    uint64_t random_state;
    chances odds;
    rules held_to;
    std::string first_complaint;
    failure failures[static_cast<size_t>(call::count)];
    std::function<void()> within[static_cast<size_t>(call::count)];
    uint64_t calls[static_cast<size_t>(call::count)];
    std::map<HANDLE, file_object> files;
    std::map<SOCKET, socket_object> sockets;
    std::map<OVERLAPPED *, operation> operations;
    std::map<HANDLE, thread_object> threads;
    std::map<HANDLE, pipe_object> pipes;
    std::wstring system_root = L"C:\\windows";
    std::map<std::wstring, pipe_terms> pipes_elsewhere; // names that another process listens on
    std::map<HANDLE, bool> pipe_ends;                   // of clients: whether they are of a pipe that goes both ways
    unsigned quick_pipe_clients;
    size_t pipe_clients; // let in
    size_t security_copies;
    std::map<HANDLE, directory_object> directories;
    std::map<std::wstring, directory_name> directory_names;
    unsigned renames_split;
    std::map<HANDLE, std::shared_ptr<waitable>> waitables; // each of files, too
    std::deque<waiting> handle_waits;                      // from their start until they have been told of
    std::vector<child_object> children;
    bool next_child_ends; // before it runs
    uint32_t next_exit_code;
    bool has_wait_packets;
    bool hold_wait_threads;
    std::map<HANDLE, event_object> events;
    std::deque<packet> packets;
    std::vector<scheduled> schedule;
    std::vector<std::function<void()>> routines;
    unsigned computing_threads;
    std::vector<int64_t> waits;
    std::vector<ULONG> batch_sizes;
    uintptr_t next_handle;
    int startups;
    int precise_users;
    int64_t now;
    int64_t grain;
    int64_t look_cost;
    uint64_t clock_reads;
    bool hold_packets;
    bool hold_cancelled;
    bool running_thread;
    bool slow_thread;
    cancel_way cancel_next;
    nt_status connect_result;
    nt_status next_status;
    bool any_aborted; // some operation has ended so by that
    uint64_t next_serial;
    closed_socket last_closed;
    size_t blocks_at_boot;
    size_t bytes_at_boot;
};

kernel &k();

// Counts the call and says whether it is to fail: the error, or 0. Complains if nothing was started.
int enter(call which);
HANDLE new_handle();
void start_clock();   // in fake_time.cpp, so that whoever boots also gets its clock
void start_winsock(); // and in fake_winsock.cpp, likewise
void start_files();   // and in fake_file.cpp
void start_waits();   // and in fake_wait.cpp
void start_events();  // fake_embed.cpp

ULONG current_level(const socket_object &socket);
socket_object *find_socket(SOCKET socket);

uint64_t new_serial();

// A receive, send or connect of it is in flight, or its packet has not been taken: to close it then resets the
// connection.
bool is_closed_over_operation(SOCKET socket);

bool is_port(HANDLE handle);
bool has_visible(HANDLE port); // a packet
// When anything can next happen that ends a wait at the port.
int64_t next_event(HANDLE port);
void run_due_actions();
void queue_packet(const packet &queued);
bool memory_is_live(const operation &of);
// The kernel's write into the caller's memory.
void write_result(operation *ended);

// Puts an operation in flight; `start` of its caller then ends it or leaves it waiting.
operation *begin_operation(work what, HANDLE file, const association &to, SOCKET socket, OVERLAPPED *overlapped);
// Ends one, queues its packet.
void end_operation(operation *ending, nt_status status, DWORD bytes, ULONG events);
// Takes it out of flight: it ended in its call. Its result is written.
void end_in_call(operation *ending, nt_status status, DWORD bytes, ULONG events);
sys::start_result finish_start(operation *started, nt_status status, DWORD bytes, ULONG events, bool skips);
// With what an operation that could end with this status ends.
nt_status status_after_all(nt_status status);
// Ends the operations of a socket that can go on now.
void progress(SOCKET socket);
// A transfer, connect or accept that can end: true, with what came of it.
bool try_operation(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes);
bool try_receive(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes);
bool try_send(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes);
bool try_connect(operation *waiting, socket_object *socket, nt_status *status);
bool try_accept(operation *waiting, socket_object *listener, nt_status *status, DWORD *bytes);
// Takes what a receive into so much room gets.
std::string take_received(socket_object *socket, size_t room);
size_t capacity(const std::vector<WSABUF> &buffers);
// Copies into the caller's buffers. False if they are not all allocated.
bool copy_received(const std::string &bytes, const std::vector<WSABUF> &buffers);
// Receives or sends without waiting: 0, or the error.
int receive_at_once(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes);
int send_at_once(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes);
// The addresses of an accept's client, in a form that only accept_addresses reads.
void write_addresses(const operation &accepting);
struct sockaddr_in loopback(uint16_t port);
// Takes the first client of a backlog that is not empty: 0, or a Winsock code.
int take_connection(SOCKET listener, SOCKET *taken);

// The parts that starts share. check_start: the socket is there, and nothing was told to fail: 0, or the error.
int check_start(call which, SOCKET socket);
operation *begin_on(work what, SOCKET socket, OVERLAPPED *overlapped);
sys::start_result go_on(operation *started, SOCKET socket, bool skips);

// Ends the waits that what has been signalled suffices for.
void satisfy_waits();

// Complains of a call that would wait. `what` names it.
void check_that_it_does_not_wait(const char *what, const socket_object &socket);
// Whether something that the network brings is late; `arrival` brings it then.
bool comes_later(std::function<void()> arrival);
// What was on the way to a socket comes.
void arrive(SOCKET socket, uint64_t serial);
// An operation on a file is about to be cancelled: what is lost by that. And the same for one of a file as below.
void spoil_file_operation(const operation &cancelled);
bool bring_about_file(operation *cancelled);
// What a connect was to become, or what else a cancelled operation loses to, comes now. False if there is nothing.
bool bring_about(operation *cancelled);
// Of a read of changes.
bool bring_about_change(operation *cancelled);
// False: it is none.
bool close_directory(HANDLE handle);

} // namespace fake
} // namespace iocp

#endif
