// A stream socket on a port, made to look like one that is watched for readiness and read and written without waiting.
// So is a file that carries bytes both ways, as a pipe does (sys::transport): all but connecting is the same.
//
// libevent's own bufferevent_sock.c (and bufferevent_openssl.c) runs on top, unmodified: it adds EV_READ and EV_WRITE
// events, and calls our read and write where it would call evbuffer_read and evbuffer_write_atmost (see
// compat/bufferevent_slot.h). So what a program sees of a bufferevent is libevent's own behaviour, and only how bytes
// move is ours:
//
//   EV_READ wanted   -> a receive is in flight; readable when it has ended (data, end of stream, or an error is held)
//   read             -> takes what is held; nothing held: receives what is there, without waiting
//   EV_WRITE wanted  -> writable unless a send or a connect is in flight
//   write            -> one gathered send of the evbuffer's own memory; would block until it has ended
//
// A stream belongs to one descriptor of one base and is found by it (socket_record.h). Its sends and its connect are
// allocated apart, and outlive it if the kernel still has them. Its receive, which every idle connection has in flight, is
// one block of memory with it: the block is freed when neither is needed any more.
//
// Only descriptors that libevent closes itself have one (BEV_OPT_CLOSE_ON_FREE, and evhttp's). Any other may be used by
// its program at any time, in any way, and an operation in flight would show: it is watched for readiness, as on
// select.
//
// Threads: stream_read and stream_write_start run in the loop thread (in an event's callback); the others where libevent
// calls them, which take the base's lock as needed. Lock order is libevent's: bufferevent, then base.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_STREAM_H
#define LIBEVENT_IOCP_BUFFEREVENT_STREAM_H

#include "backend/backend.h"
#include "backend/socket_record.h"

namespace iocp {

struct send_operation;
struct connect_operation;
struct stream_queue;

// The most that one receive or one send moves, whatever the program allows (bufferevent_set_max_single_read and _write;
// 16 KiB by default): what one operation has in flight is bounded, since the kernel may lock it in memory.
constexpr unsigned max_receive_size = 256 * 1024;
constexpr unsigned max_send_size = 1024 * 1024;
// Size of a receive's buffer at first. It doubles when filled, up to what a read may take, and halves when nearly empty.
constexpr unsigned first_receive_size = 2048;
// The same for bytes received for a reader with memory of its own (see stream_queue.h).
constexpr unsigned max_take_size = 64 * 1024;

enum class receive_state : unsigned char {
    none,     // nothing asked, nothing known
    pending,  // a receive is in flight
    readable, // a zero-byte receive has ended: there is something to receive
    held,     // bytes were received and wait to be read
    ended,    // the peer has sent its last byte; stays so
    failed,   // an error waits to be read
};

enum class connect_state : unsigned char { none, pending, succeeded, failed };

// There is one for each idle connection: its size counts. What only some have, or only for a time, is allocated apart.
struct stream {
    source as_source;     // first: a source is cast to its stream
    completion receiving; // its receives, one after the other. In flight it outlives the stream, and frees it
    union {
        const void *holder;    // the bufferevent that brought it
        socket_life left_life; // let go: which of the socket's lives the receive in flight is of
    };
    union {
        send_operation *sending;       // in flight; NULL: nothing is
        connect_operation *connecting; // while `connect` says so
    };
    received_bytes *received; // what is held, or the buffer of the receive in flight or the next; NULL: it has none
    stream_queue *queue;      // of what TLS hands over, see stream_queue.h; NULL: it never did
    uint16_t send_error;      // of a send that was in flight; told to every write from then on
    uint16_t failure;         // of the connect or receive that has failed, until it is told
    receive_state receive;
    // Bit-fields next to each other are one memory location, so that they go together by who writes them: who reads, in the
    // loop's thread,
    unsigned char receive_doublings : 3; // of the next buffer's size, see stream_receive_size
    unsigned char receipts : 2;          // 0, 1, or 2: has received that often, or oftener
    bool has_read : 1;                   // ever
    bool warm : 1;                       // has received something lately
    bool send_again : 1;                 // the kernel had no memory for a send: wait before the next
    unsigned char : 0;
    // and whoever has the lock.
    connect_state connect : 2;
    unsigned char calls_paid : 2; // in a row, for want of a receive's buffer, see receive_budget.h
    bool looks_first : 1;         // a new connection's first bytes may have come: its first receive may have a buffer
    bool steps_aside : 1;         // once its connect has ended
    bool never_ahead : 1;         // what nobody has asked for stays with the kernel, where it can wait there
    bool is_file : 1;             // and no socket
    unsigned char send_doublings : 3; // of what it may send at once, see send_growth.h
    unsigned char send_lasting : 4;   // how much longer than the default its last sends are, see send_growth_lasting
    bool receive_again : 1;           // the kernel had no memory for a receive: wait before the next
};

static_assert(sizeof(void *) != 8 || sizeof(stream) == 136, "there is one for each idle connection");
static_assert(first_receive_size << 7 >= max_receive_size, "doublings of a receive fit");
static_assert(max_doublings < 8 && max_grown_size / default_send_size <= 16,
              "those of a send fit, and what lasts of them");

// Puts the socket on the base's port. NULL when it cannot be there (no stream socket, on another port already, its
// provider does not reach the port): it is then watched for readiness, like any other.
//
// A socket that somebody else made is looked at first: one whose connect is under way must be watched for readiness.
// `to_connect` says that this is a stream socket which stream_connect will be called for.
stream *stream_attach(backend *owner, evutil_socket_t fd, const void *holder, bool to_connect);
// The same for a file, which is what `by` says. NULL with the socket error set.
stream *stream_attach_file(backend *owner, evutil_socket_t fd, const void *holder, sys::transport by, bool never_ahead);
// Bytes that came with the connection and are still kept cannot be read by who is to read the socket now: it must not
// go on as if they had not been sent, and is ended.
void stream_early_is_lost(backend *owner, evutil_socket_t fd);
// A program may make the next bufferevent of a descriptor before it takes that from the last one. As on select, the next one
// has it: a stream of another holder's is let go of, or steps aside once its connect has ended, and who had it goes by
// readiness. (Not from another thread while the loop runs: then the last one is to give it up first, as across bases.)
// True: there is none any more, and there was one. With the base's lock held.
bool stream_displace(backend *owner, evutil_socket_t fd, const void *holder);
// An event has been added to a descriptor, whose record that is: its program waits by itself, and does not tell the stream
// what it reads and writes. That would be readable for ever, or have received what the program is to. So from the
// loop's next turn on, or once the holder has been told of its connect, the socket is watched for readiness, and the
// holder's send in flight goes on. (Where that may be: a file cannot, and what waits beside TLS goes by the stream.)
// True: it will give way, and a loop that sleeps is to be woken. With the base's lock held.
bool stream_note_event(const socket_record *of, const struct event *added);
// Lets go of the socket: a receive or connect in flight is cancelled, a send goes on. What is received and not read is
// kept for the next bufferevent on it, unless it is to be closed. With the base's lock held since the stream was found: it
// is let go of once (and nobody finds it any more where this waits, and lets go of the lock).
void stream_release(stream *self, bool closing);

// From now on somebody else reads and writes the socket, which is watched for readiness. A connect in flight goes on.
// The stream may be let go of by this. With the base's lock held.
void stream_step_aside(stream *self);

// The stream of a descriptor, or NULL. The base's lock is held.
stream *stream_find(backend *owner, evutil_socket_t fd);

// As evbuffer_read: the count of bytes, 0 at the end of the stream, -1 with the socket error.
int stream_read(stream *self, struct evbuffer *input, int at_most);
// As evbuffer_write_atmost, in two steps: a send is started with the base's lock held. What it has taken leaves the output
// when nobody holds that any more, since the output's callbacks are called then; of the stream nothing is needed.
// `grows`: it may grow beyond default_send_size (see send_growth.h), up to `at_most`, which is a multiple of it.
sys::start_result stream_write_start(stream *self, struct evbuffer *output, size_t at_most, bool grows);
int stream_write_settle(struct evbuffer *output, const sys::start_result &started);

// Starts a ConnectEx. 0, or a Winsock code. With the base's lock held.
int stream_connect(stream *self, const struct sockaddr *address, int length);
// Why it cannot, in which case nothing has changed: 0 if it can.
int stream_connect_refusal(const stream *self);
// 1: connected; 0: not yet; -1 with the socket error: failed. Asked once after the outcome, with the
// base's lock held.
int stream_connect_outcome(stream *self);

inline stream *stream_of(source *as_source)
{
    return reinterpret_cast<stream *>(as_source);
}

inline backend *stream_owner(const stream *self)
{
    return source_owner(&self->as_source);
}

inline evutil_socket_t stream_descriptor(const stream *self)
{
    return source_descriptor(&self->as_source);
}

// It has not been let go of: the descriptor is its own. With the base's lock held.
inline bool stream_is_attached(const stream *self)
{
    return socket_of(&self->as_source)->own == &self->as_source;
}

inline sys::transport stream_transport(const stream *self)
{
    return socket_of(&self->as_source)->transport;
}

// An operation of its that is done at once leaves no packet.
inline bool stream_skips_packets(const stream *self)
{
    return socket_of(&self->as_source)->skips_packets;
}

// NULL: no send is in flight.
inline send_operation *stream_sending(const stream *self)
{
    return self->connect == connect_state::pending ? nullptr : self->sending;
}

inline unsigned stream_receive_size(const stream *self)
{
    return first_receive_size << self->receive_doublings;
}

// The codes of Winsock and Win32 have 16 bits; a file's driver can say anything.
inline uint16_t stream_error(int error)
{
    return static_cast<uint16_t>(error >= 0 && error <= int{UINT16_MAX} ? error : ERROR_GEN_FAILURE);
}

} // namespace iocp

#endif
