// The fake kernel's own state, shared by its files.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_KERNEL_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_KERNEL_H

#include <deque>
#include <map>

#include "support/fake_sys.h"

namespace iocp {
namespace fake {

constexpr nt_status status_success = 0;
constexpr nt_status status_pending = 0x00000103;
constexpr nt_status status_cancelled = static_cast<nt_status>(0xC0000120);
constexpr nt_status status_connection_reset = static_cast<nt_status>(0xC000020D);
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
};

enum class work { poll, receive, send, connect, accept };

struct operation {
    work what;
    HANDLE file;
    association to;
    OVERLAPPED *overlapped;
    SOCKET socket;
    sys::afd_poll_info *info; // of a poll
    ULONG asked;
    std::vector<WSABUF> buffers; // of a transfer; of an accept, its buffer
    DWORD data_length;
    SOCKET accepted;
    bool has_client;
    nt_status planned; // a connect's outcome
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
    bool resets_ignored;
    bool connected;
    int64_t connected_at;

    bool finished;
    bool reset;
    std::string inbox;
    std::string sent;
    size_t send_room;
    std::deque<std::string> backlog;
    std::vector<OVERLAPPED *> waiting; // operations that have not ended
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

struct scheduled {
    int64_t time;
    std::function<void()> action;
};

struct kernel {
    uint64_t seed;
    uint64_t random_state;
    chances odds;
    std::string first_complaint;
    failure failures[static_cast<size_t>(call::count)];
    uint64_t calls[static_cast<size_t>(call::count)];
    std::map<HANDLE, file_object> files;
    std::map<SOCKET, socket_object> sockets;
    std::map<OVERLAPPED *, operation> operations;
    std::map<HANDLE, thread_object> threads;
    std::deque<packet> packets;
    std::vector<scheduled> schedule;
    std::vector<int64_t> waits;
    std::vector<ULONG> batch_sizes;
    uintptr_t next_handle;
    int startups;
    int precise_users;
    int64_t now;
    int64_t grain;
    bool hold_packets;
    bool hold_cancelled;
    bool running_thread;
    cancel_way cancel_next;
    nt_status connect_result;
    SOCKET last_accepted;
    size_t blocks_at_boot;
    size_t bytes_at_boot;
};

kernel &k();

// Counts the call and says whether it is to fail: the error, or 0. Complains if nothing was started.
int enter(call which);
HANDLE new_handle();
void start_clock(); // in fake_time.cpp, so that whoever boots also gets its clock

ULONG current_level(const socket_object &socket);
socket_object *find_socket(SOCKET socket);

bool is_port(HANDLE handle);
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
// Ends the operations of a socket that can go on now.
void progress(SOCKET socket);
// A transfer, connect or accept that can end: true, with what came of it.
bool try_transfer(operation *waiting, socket_object *socket, nt_status *status, DWORD *bytes);

} // namespace fake
} // namespace iocp

#endif
