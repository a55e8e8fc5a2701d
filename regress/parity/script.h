// A random program for bufferevents, a listener and their peers, for bufferevents over pipes, for plain events, for
// pairs and filters, for an evhttp server, or for bases that share a listening socket: a list of operations, made from a
// seed.
//
// Any subset of a script's operations is a script again (an operation that makes no sense where it stands does
// nothing), so that a failing one shrinks by leaving operations out.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SCRIPT_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SCRIPT_H

#include <stdint.h>

#include <string>
#include <vector>

namespace parity {

constexpr int max_subjects = 2;
constexpr int max_connections = 6;

// a, b and c in the comments are the operation's arguments.
enum class op_kind {
    sync,             // run the loop until nothing more can happen, and log
    enable,           // a: events
    disable,          // a: events
    write,            // a: bytes
    write_many,       // a: bytes each, b: times
    drain,            // a: bytes, from the input
    frame,            // a: the read callback takes multiples of this many bytes; 0: nothing
    read_watermark,   // a: low, b: high, c: a frame for b, if there is none
    write_watermark,  // a: low
    idle,             // a: 1: with a read timeout, 2: with a write timeout, 3: both; until they fire or cannot
    set_callbacks,    // a: 1: read, 2: write, 4: event
    set_descriptor,   // a: 0: none, 1: another connection, 2: the first one again, 3: the same
    flush,            // a: events, b: mode
    rate_limit,       // a: bytes a tick; 0: none
    join_group,       // a: 1: join, 0: leave
    priority,         // a: priority
    hook,             // a: moment, b: action, c: bytes
    free_subject,     //
    shut_write,       // shutdown(SD_SEND) on the descriptor, once drained
    connect,          // a: 0: to an open port, 1: to a closed one, b: 1: by host name
    output,           // a: an output_change, c: bytes
    input,            // a: an input_change, c: bytes
    exit_with_reply,  // out of the read callback; a: more bytes from the peer, b: bytes
    reuse_number,     // closed under the bufferevent, and the number comes back; a: a comeback
    peer_send,        // a: bytes, b: fragments
    peer_finish,      // shutdown(SD_SEND) by the peer
    peer_reset,       // close with linger 0, c: bytes sent just before
    peer_leave,       // close, with everything received
    peer_stall,       // reads nothing until an operation that needs it to, a: bytes written meanwhile
    peer_sip,         // while it is stalled, a: bytes
    listener_connect, // a: how many
    listener_enable,  // a: 1: enable, 0: disable
    listener_hook,    // a: 1: disable in the next callback, 2: free
    listener_free,
    ask,        // a: bytes of a request's body
    ask_cancel, // a: 0: the first that waits, 1: the same once the server has read what there is, 2: the last
    ask_stall,  // a: 1: the server reads nothing from now on, 0: it goes on
    ask_close,  // by the server, a: 1: by a reset
    // Shared listeners (see sharing.h). The subject is a base, and a one of its listeners.
    share_listen,      // a: 1: disabled
    share_enable,      // b: 1: enable, 0: disable
    share_free,        //
    share_hook,        // b: a hook_of_listener
    share_stand_still, // until it is resumed
    share_resume,      //
    share_leave,       // its listeners and its base are freed
    share_connect,     // a: how many
    // Plain events (see plain_events.h). The subject is a watcher, and of `program_` and `peer_` a descriptor.
    event_make,      // a: descriptor, b: events, c: a manner; in place of what the watcher was
    event_add,       // a: 0: no timeout, 1: one that does not come, 2: one that comes at once
    event_del,       //
    event_free,      //
    event_activate,  // a: events
    event_priority,  // a: priority
    event_hook,      // a: a deed, b: another watcher, c: bytes
    event_time_out,  // with a timeout that fires
    program_send,    // a: bytes
    program_receive, // a: bytes at most
    program_shut,    // shutdown(SD_SEND)
    program_reuse,   // closed, and the number comes back; a: 1: its events are deleted first, b: 1: evutil_closesocket
    peer_resume,     // after peer_stall
    // Pairs and filters (see layers.h). The subject is an end.
    layer_write,     // a: bytes
    layer_enable,    // a: events, b: 1: below the filter
    layer_disable,   // a: events, b: 1: below the filter
    layer_watermark, // for reading; a: low, b: high
    layer_flush,     // a: events, b: mode
    layer_take,      // a: 1: the read callback takes all, 0: nothing
    layer_way,       // a: a filter_way, b: 0: of what comes in, 1: of what goes out
    layer_hook,      // a: see layer_end
    layer_free,
    // An evhttp server (see serving.h). The subject is a client.
    serve_ask,      // a: a deed, b: bytes of a body, c: a form
    serve_answer,   // to a request that is held; a: 1: its connection is freed
    serve_finish,   // shutdown(SD_SEND) by the client
    serve_leave,    // by the client; a: 1: by a reset
    serve_time_out, // of the server's patience
    serve_stall,    // a: 1: the client reads nothing from now on, 0: it goes on
    serve_free,     // the server, with what it holds; another one follows
    count,
};

enum class moment { read, write, connected, ended, failed, timed_out, count };

enum class action {
    free,
    stop_reading,
    stop_writing,
    start,
    write,
    no_callbacks,
    no_descriptor,
    drain,
    count,
    reply_and_exit // by the operation exit_with_reply alone
};

// Nothing happens to what the kernel has by then.
enum class output_change {
    drain,
    take,
    rearrange,
    prepend,
    contiguous,
    reference,
    file,
    file_segment,
    frozen,
    move_to_other,
    count
};

enum class input_change {
    prepend,
    add,
    reference,
    take,
    take_all,
    put_back,
    contiguous,
    expand,
    pass_on,
    frozen,
    count
};

// What the program does after it has closed the descriptor under its bufferevent, which no longer reads or writes.
enum class comeback { sets_none_then_the_new, sets_the_new, frees_and_makes_another, count };

// What a script is about, whose operations it has, and who runs it. (Of `pipes` a connection on select is a pair of
// sockets as ever.)
enum class flavour { bufferevents, plain_events, layers, sharing, serving, shortage, pipes, count };

struct operation {
    op_kind kind;
    int subject;
    int a;
    int b;
    int c;
};

struct script {
    uint64_t seed;
    flavour about;
    int subjects;
    int options[max_subjects]; // of bufferevent_socket_new
    bool starts_connected[max_subjects];
    unsigned ipv6;  // bit n: the connection of that number is of AF_INET6
    uint64_t pipes; // the forms of the connections that are pipes
    bool listens;
    bool listens_ipv6;
    unsigned listener_flags;
    bool asks;        // an evhttp client and its server
    bool locks;       // the bases have locks
    int bases;        // that share a listening socket
    bool threads;     // each is turned by one of its own
    bool owned;       // the first has a listener that closes the socket
    int layers;       // a stack
    int descriptors;  // of plain events
    int priorities;   // of a base of plain events
    bool deferred;    // the server waits for first data
    int max_body;     // of requests to an evhttp server
    int denied_first; // of the allocations while the loop turns
    int denied;
    bool waits; // its turns wait for what comes
    std::vector<operation> operations;
};

script make_script(uint64_t seed);
unsigned form_of_pipe(const script &of, int connection);
const char *name_of(flavour about);
// False: none has that name.
bool is_flavour(const char *name);
std::string describe(const script &of);
std::string describe(const operation &of);

} // namespace parity

#endif
