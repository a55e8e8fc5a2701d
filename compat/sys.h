// The only door to the kernel. Tests link a fake in place of sys*.cpp, so everything that can fail, be late or come in
// another order passes through here.
//
// Errors are Win32 codes (0 is success), and of sockets Winsock codes: from 10000 on, or WSA_OPERATION_ABORTED.
// Whatever shortage keeps an operation from starting is WSAENOBUFS. An NTSTATUS leaves this layer only inside a
// completion packet, which operation_error and status_to_error translate. Functions are safe from any thread unless
// they say otherwise. None blocks, except those that wait for as long as they are told (port_dequeue, wait_for,
// thread_wait), wait_stop, ports_can_be_waited_for, let_others_run, and what opens a file or starts a program
// (directory_open, pipe_open, null_device_open, process_create), which is as long as its driver takes.
//
// What is given stays the caller's, who also has to close what a function has made: a socket by close_socket, a child by
// process_close, any other handle by close_handle or file_close. Two close what they are given: process_resume, and
// thread_wait once it has returned true.
#ifndef LIBEVENT_IOCP_COMPAT_SYS_H
#define LIBEVENT_IOCP_COMPAT_SYS_H

#include <stdint.h>

#include "compat/win.h"

namespace iocp {
namespace sys {

// How an overlapped call went. Only `pending` is followed by a completion packet.
//
// A call's `skips` says that its handle was asked to leave no packet for what is done at once (skip_packet_on_success).
// Success in the call is `done` then. Otherwise a packet comes for it as well, and it is `pending`.
enum class started { done, pending, failed };

struct start_result {
    started how;
    int error;   // Winsock code, of a file's operation Win32; set when `how` is failed
    DWORD bytes; // transferred; set when `how` is done
};

// AFD's poll events: the ones that readiness is made of. The values are those of the AFD driver's interface.
enum afd_event : ULONG {
    afd_receive = 0x0001,
    afd_send = 0x0004,
    afd_disconnect = 0x0008,
    afd_abort = 0x0010,
    afd_local_close = 0x0020,
    afd_connect = 0x0040,
    afd_accept = 0x0080,
    afd_connect_failed = 0x0100,
};

// Input and output of one AFD poll of one socket; the kernel reads and writes it until the packet.
struct afd_poll_info {
    LARGE_INTEGER timeout;
    ULONG count;
    ULONG exclusive;
    HANDLE socket;
    ULONG events;
    nt_status status;
};

// Any of the system's own codes for a want of memory, whoever counts it.
inline bool is_want_of_memory(int error)
{
    return error == ERROR_NOT_ENOUGH_MEMORY || error == ERROR_OUTOFMEMORY || error == ERROR_NO_SYSTEM_RESOURCES ||
           error == ERROR_WORKING_SET_QUOTA || error == ERROR_COMMITMENT_LIMIT || error == ERROR_NOT_ENOUGH_QUOTA;
}

// Memory or handles that the kernel may have again later, and so no fault of the socket. In Winsock's codes, or in the
// system's own, which ports have.
inline bool is_shortage(int error)
{
    return error == WSAENOBUFS || error == WSAEMFILE || error == ERROR_TOO_MANY_OPEN_FILES || is_want_of_memory(error);
}

// Starts Winsock (a program may make its base before it calls WSAStartup) and finds the NT calls. Counted: each
// successful startup is paired with one cleanup.
int startup();
void cleanup();

// --- completion ports ---------------------------------------------------------------------------------------------
// No more than so many of the threads that have dequeued from it run at the same time, as far as the port can see to
// it.
int port_create(HANDLE *port, DWORD max_threads);
int port_associate(HANDLE port, HANDLE file, ULONG_PTR key);
int port_post(HANDLE port, ULONG_PTR key, DWORD bytes, OVERLAPPED *overlapped);
// The routines that were queued to the thread (QueueUserAPC, ReadFileEx, timers) run in an alertable wait, as in
// select.
enum class wait_kind { plain, alertable };
// Waits up to `timeout_us` microseconds (-1: for ever; rounded up, never early by rounding) for up to `max` packets.
// *count is 0 when time ran out, or when such routines have run, and nothing else is then looked at.
int port_dequeue(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG max, int64_t timeout_us, wait_kind kind, ULONG *count);
// Whether the end of an operation signals the handle itself, too, for who waits there: GetOverlappedResult does, if
// OVERLAPPED has no event.
enum class handle_signal { never, at_each_end };
// An operation that finishes at once will queue no packet. Only for handles of the file system's kind: our AFD
// handles, pipes, devices and sockets of an installable-file-system provider.
int skip_packet_on_success(HANDLE file, handle_signal when);
void close_handle(HANDLE handle);
// Asks for one operation's end, in whatever thread it was started; its packet still comes. ERROR_NOT_FOUND: it has
// already ended.
int cancel(HANDLE file, OVERLAPPED *overlapped);

// --- the AFD driver -----------------------------------------------------------------------------------------------
int afd_open(HANDLE *afd);
start_result afd_poll(HANDLE afd, afd_poll_info *info, OVERLAPPED *overlapped);

// --- sockets --------------------------------------------------------------------------------------------------------
// SOCK_STREAM, SOCK_DGRAM…; WSAENOTSOCK for a handle that is no socket.
int socket_type(SOCKET socket, int *type);
// False while a connect is under way, too.
bool is_connected(SOCKET socket);
// One socket of a look at many: what is asked about it, and then which of that is so. It reads if a receive or an
// accept would not have to wait (data, an end, a connection). Where `writes` is asked, `fails` tells that a connect may have
// failed: select says the same of urgent data, and a poll knows which it is.
struct look {
    SOCKET socket;
    bool reads;
    bool writes;
    bool fails; // not asked for
};
constexpr unsigned max_looked_at = 256; // what is given lies on the stack
// 0, or an error that one of them causes, or that they are not all of one provider.
int look_now(look *looks, unsigned count);
// The base provider's handle under layered providers, or INVALID_SOCKET with the error.
int base_socket(SOCKET socket, SOCKET *base);
// What ICMP says of datagrams that have been sent: each fails the socket's next receive, unless it is ignored.
enum class datagram_report { port_unreachable, time_exceeded };
void ignore_datagram_report(SOCKET socket, datagram_report which);
// Takes the socket off the port that it is on, so that another port may have it. Nothing may be in flight on it. An
// error where there is no way back: before Windows 8.1, and under Wine. That operations done at once leave no packet
// (skip_packet_on_success) is forgotten with the port.
int leave_port(SOCKET socket);
// True when the socket is a kernel file object, whose overlapped operations reach a port unaltered.
bool has_ifs_handle(SOCKET socket);

start_result receive(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips);
start_result send(SOCKET socket, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, bool skips);
// Receives what is there, without waiting: 0 or an error (WSAEWOULDBLOCK); *bytes is 0 at the end of the stream.
int receive_now(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes);
// Sends what fits, without waiting: 0 or an error (WSAEWOULDBLOCK).
int send_now(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *bytes);
// WSAEOPNOTSUPP: the provider has no ConnectEx (AcceptEx below), or no memory to say so: connect() does without.
start_result connect(SOCKET socket, const struct sockaddr *address, int length, OVERLAPPED *overlapped, bool skips);
// Binds to the wildcard address, as ConnectEx requires, to a port that connections to other peers may have as well; an
// already bound socket is left as it is.
int bind_any(SOCKET socket, int family);
int finish_connect(SOCKET socket);
// `buffer` takes `data_length` bytes of first data, then two addresses of `address_length` bytes each.
start_result accept(SOCKET listener, SOCKET socket, void *buffer, DWORD data_length, DWORD address_length,
                    OVERLAPPED *overlapped, bool skips);
int finish_accept(SOCKET listener, SOCKET socket);
// Both point into `buffer`, that of an accept which has ended. NULL: the provider has no such function, or no memory.
void accept_addresses(SOCKET listener, void *buffer, DWORD data_length, DWORD address_length, struct sockaddr **local,
                      int *local_length, struct sockaddr **remote, int *remote_length);
// Takes a connection that waits already: 0 or an error; WSAEWOULDBLOCK, if the listener does not block. Child processes
// inherit the new socket, and it is as non-blocking as the listener.
int accept_now(SOCKET listener, SOCKET *accepted, struct sockaddr *address, int *length);
// Tells one connection from another under the same number (by its two addresses). 0: it has none.
uint32_t connection_mark(SOCKET socket);
// Of a connected socket: 0, or an error. `length` is in and out.
int peer_address(SOCKET socket, struct sockaddr *address, int *length);
// True once a socket given to `accept` has its connection, even if no data has arrived; for how long, in
// whole seconds.
bool connected_for(SOCKET socket, uint32_t *seconds);
bool is_listening(SOCKET socket);
struct socket_kind {
    int family;
    int type;
    int protocol;
};
int kind_of(SOCKET socket, socket_kind *kind);
// Of other families AcceptEx may say nothing of who has connected, and libevent closes a connection from nowhere.
inline bool is_internet(const socket_kind &kind)
{
    return kind.family == AF_INET || kind.family == AF_INET6;
}
// A new socket of that kind, which no child process inherits.
int socket_like(const socket_kind &kind, SOCKET *socket);
// Whether a child process that is made with bInheritHandles from now on has a handle to the same; those that it has
// already stay. Of a handle that is ours, or about to be closed: its protection from being closed goes with it. Where it
// fails, the handle stays as it is.
void set_inherited(HANDLE handle, bool inherited);
inline void set_inherited(SOCKET socket, bool inherited)
{
    set_inherited(reinterpret_cast<HANDLE>(socket), inherited);
}
// The functions that AF_INET sockets have; NULL where there is none. False: for want of a socket, or of memory, nobody knows
// yet.
bool find_extensions(LPFN_ACCEPTEX *accept_ex, LPFN_CONNECTEX *connect_ex, LPFN_GETACCEPTEXSOCKADDRS *addresses);
int set_blocking(SOCKET socket, bool blocks);
// Ends the connection in both directions, or the one that we send in; the socket stays.
void end_connection(SOCKET socket);
void end_sending(SOCKET socket);
// Its peer is to see a reset when it is closed.
void reset_when_closed(SOCKET socket);
bool is_reset_when_closed(SOCKET socket);
// Its close waits for nothing, whatever SO_LINGER was: what is on its way goes on.
void do_not_wait_when_closed(SOCKET socket);
// WSAEWOULDBLOCK: it does not block, has something on its way, and SO_LINGER a time for that. It is open still.
int close_socket(SOCKET socket);

// How an operation on a socket has ended, when its packet has come: 0, or the code that Winsock has for it.
int operation_error(SOCKET socket, OVERLAPPED *overlapped);
// The Winsock code for the NTSTATUS in the packet of an AFD poll.
int status_to_error(nt_status status);
// How an operation on a handle that is no socket has ended: 0, or a Win32 code; ERROR_OPERATION_ABORTED of one that was
// cancelled. Warnings are errors (ERROR_MORE_DATA), other successes are not (STATUS_NOTIFY_ENUM_DIR).
int file_error(nt_status status);

// --- byte streams that are files: pipes, serial ports ---------------------------------------------------------------
// What carries a stream's bytes.
enum class transport : unsigned char {
    socket,
    pipe,     // a named pipe of bytes
    messages, // a named pipe of messages, which are read as bytes
    device,   // a serial port
};
// A receive of zero bytes waits until there is something to receive. Elsewhere it ends at once.
inline bool waits_without_buffer(transport by)
{
    return by == transport::socket || by == transport::pipe;
}
// It can be asked to leave no packet of what is done at once. Not with messages: a read that leaves a part of one for
// the next fails in its call (ERROR_MORE_DATA) and yet sends a packet, and whether it does then nobody has written down.
inline bool may_skip_packets(transport by)
{
    return by != transport::messages;
}
// Of a receive: the other end was closed, and everything has been read.
inline bool file_has_ended(int error)
{
    return error == ERROR_BROKEN_PIPE || error == ERROR_PIPE_NOT_CONNECTED || error == ERROR_HANDLE_EOF;
}
// What a handle is, if overlapped operations can move bytes on it. 0, or why it cannot be: the codes of
// event2/iocp_handle.h.
int file_transport(HANDLE file, transport *by);
// A serial port's reads end with the first bytes that come, and not before, as far as its driver can do that.
void file_wait_for_first_bytes(HANDLE device);
// Their errors are Win32 codes, but for a shortage (WSAENOBUFS).
start_result file_receive(HANDLE file, const WSABUF *buffer, OVERLAPPED *overlapped, bool skips);
start_result file_send(HANDLE file, const WSABUF *buffer, OVERLAPPED *overlapped, bool skips);
int file_close(HANDLE file);
// Copies from a view of a file, whose pages may turn out not to be readable: 0, ERROR_NOACCESS, or WSAENOBUFS. (To read them
// oneself raises EXCEPTION_IN_PAGE_ERROR then.)
int view_read(const void *view, void *into, size_t length);

// --- named pipes ----------------------------------------------------------------------------------------------------
// Errors are Win32 codes. Byte pipes, closed to other machines; the server's end is overlapped.
struct pipe_kind {
    bool reads; // the server does
    bool writes;
    bool is_first;      // fails (ERROR_ACCESS_DENIED) where the name is in use
    unsigned instances; // that may be there at a time; 0: no limit. The same for all of one name
    void *security;     // SECURITY_ATTRIBUTES; NULL: the default, not inherited
};
// One more instance of the pipe of that name: ERROR_PIPE_BUSY when the limit is reached.
int pipe_create(const wchar_t *path, const pipe_kind &kind, HANDLE *created);
// Waits for a client of that instance. `done`: it has one, or had one that has gone again, and no packet comes.
start_result pipe_accept(HANDLE instance, OVERLAPPED *overlapped, bool skips);
// What `security` of pipe_kind points to, with the descriptor, in memory of its own: *copy is NULL if it is NULL.
int security_copy(const void *security, void **copy);
void security_free(void *copy);
struct pipe_client {
    bool reads;
    bool writes;
    bool for_child; // inherited, and not overlapped
};
// ERROR_FILE_NOT_FOUND: there is no such pipe. ERROR_PIPE_BUSY: all its instances have their clients.
int pipe_open(const wchar_t *path, const pipe_client &client, HANDLE *opened);
// Whether bytes go in both directions over the pipe, of which this is either end, opened for whichever. False, too, where
// the kernel does not say.
bool pipe_is_duplex(HANDLE end);

// --- directories ----------------------------------------------------------------------------------------------------
// Opens a directory to be watched, which others may read, write, rename and delete. A relative path, or one longer than
// MAX_PATH, is fine; one that begins with \\?\ is taken as it is. ERROR_DIRECTORY: it is something else.
int directory_open(const wchar_t *path, HANDLE *directory);
// Reads what changes in it from the first call on, into at most `size` bytes that begin at a multiple of four. On
// success a packet comes in each case. What changes between two calls is kept for the next.
start_result directory_read(HANDLE directory, void *buffer, DWORD size, bool recursive, OVERLAPPED *overlapped);
// Of one that has ended well: there was more than the buffer holds, and it has nothing of it.
bool directory_has_lost(const OVERLAPPED *ended);
// Of one that has ended with an error, or could not start: the directory itself was deleted.
bool directory_is_deleted(HANDLE directory, const OVERLAPPED *ended);

// --- waits for handles -----------------------------------------------------------------------------------------------
// Of what may be waited for, by a handle of our own, not inherited: ERROR_INVALID_HANDLE (closed, one of those numbers
// that stand for the calling process or thread, or of a kind that cannot be waited for), ERROR_ACCESS_DENIED (no
// SYNCHRONIZE), ERROR_INVALID_PARAMETER: a mutex, which the waiting thread would own, or a completion port, which no wait
// packet takes.
int wait_duplicate(HANDLE given, HANDLE *own);
// One wait, whose packet comes to a port when the handle is signalled. Zero at first; not moved while it is under way.
struct handle_wait {
    HANDLE packet; // Windows's object for that, used again and again; NULL: a thread of Windows's waits, and posts
    HANDLE registration; // with that thread
    HANDLE port;
    ULONG_PTR key;
    OVERLAPPED *overlapped;
    bool posted; // by that thread; to be looked at when the registration has been given back
};
// Nothing is written to `overlapped`: its address comes with the packet.
int wait_start(handle_wait *self, HANDLE handle, HANDLE port, ULONG_PTR key, OVERLAPPED *overlapped);
// Takes back a wait whose packet was not seen yet. False: none will come. True: it is on its way, or has been dequeued
// by somebody who has not delivered it; a signal may have been consumed. In both cases nothing refers to the handle any
// more. May wait for the moment in which Windows's thread posts, which takes no lock.
bool wait_stop(handle_wait *self);
// Its packet has come.
void wait_taken(handle_wait *self);
// Idle, and not to be used again.
void wait_close(handle_wait *self);

// --- child processes ------------------------------------------------------------------------------------------------
struct child {
    HANDLE process;
    HANDLE thread; // until it has been resumed
    DWORD id;
};
struct child_start {
    const wchar_t *program; // NULL: the command line's first word
    wchar_t *command;       // may be written to
    const wchar_t *directory;
    wchar_t *environment; // of UTF-16; NULL: ours
    HANDLE standard[3];   // inheritable, and all that is inherited
    bool hidden;
    bool detached;
};
// Of this process: units without the 0 at the end; 0: there is none; `room` or more: it has not been copied.
DWORD environment_value(const wchar_t *name, wchar_t *into, DWORD room);
// Reads nothing, takes everything, and is inheritable.
int null_device_open(HANDLE *opened);
// Suspended before its first instruction. Waits for its image to be loaded.
int process_create(const child_start &start, child *created);
// Closes the handle of its first thread.
int process_resume(HANDLE thread);
uint32_t process_exit_code(HANDLE process);
// ERROR_ACCESS_DENIED: it has ended.
int process_terminate(HANDLE process, uint32_t exit_code);
void process_close(child *self);

// --- threads --------------------------------------------------------------------------------------------------------
int thread_start(void (*run)(void *), void *argument, HANDLE *thread);
// Waits for its end up to wait_ms (-1: for ever), and closes the handle then. False: it still runs.
bool thread_wait(HANDLE thread, long wait_ms);
// For who waits for another thread by looking again and again, and has looked so often. First it gives up the rest of its
// time slice, since what takes a moment is over then; later a millisecond, which on Windows may be sixteen.
void let_others_run(unsigned looks);
constexpr unsigned looks_before_sleep = 64;

// --- waiting for handles --------------------------------------------------------------------------------------------
// `stays_set`: until it is reset; else one wait that sees it set resets it.
int event_create(bool stays_set, HANDLE *event);
void event_set(HANDLE event);
void event_reset(HANDLE event);
// Waits up to wait_ms (-1: for ever) until it is signalled. False: time ran out, or it cannot be waited for.
bool wait_for(HANDLE handle, long wait_ms);
// Whether a thread can wait for a port's own handle: it is signalled as long as packets are queued, ends a wait that began
// before, and the wait takes no packet. Tried on a port of its own; it may take wait_trial_ms. It says nothing of a thread
// pool's waits, which end the process for a port since Windows 8 and cannot be tried, nor of waits for all of several.
bool ports_can_be_waited_for();
constexpr long wait_trial_ms = 1000;

// --- time -----------------------------------------------------------------------------------------------------------
// The performance counter's time, from some moment on.
int64_t now_ns();
// Asks Windows for a clock interrupt each millisecond while a base wants precise timers; calls are counted.
void precise_clock(bool on);

} // namespace sys
} // namespace iocp

#endif
