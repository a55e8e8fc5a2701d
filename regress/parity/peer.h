// Connections whose far end is used by the driver, without waiting and without libevent: sockets on the loopback, or
// pipes (peer_pipe.h).
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_PEER_H
#define LIBEVENT_IOCP_REGRESS_PARITY_PEER_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stddef.h>

#include <string>

namespace parity {

// Bytes that one peer sends at most, so that they fit in the kernel's buffers whether they are read or not.
constexpr size_t max_sent = 120 * 1024;

struct connection;

// What carries a connection's bytes. An end is a SOCKET or a HANDLE in its place; INVALID_SOCKET is both's value for none.
struct carrier {
    bool (*make)(connection *made);
    // As much as fits; -1: nothing.
    int (*send)(connection *from_peer, const char *data, int bytes);
    // 0: the end, or -1 with WSAEWOULDBLOCK where nothing has come, or another code.
    int (*receive)(SOCKET end, char *buffer, int room);
    // Little fits in between, from now on.
    void (*narrow)(connection *on);
    void (*close)(SOCKET end);
};
extern const carrier by_socket;

struct connection {
    int id;          // makes its bytes different from another's
    SOCKET near_end; // the bufferevent's
    SOCKET far_end;  // INVALID_SOCKET: there is no peer (a refused connect), or it has closed its end
    const carrier *by = &by_socket;
    unsigned form;   // of a pipe
    size_t sent;     // by the peer
    size_t read;     // by the bufferevent, and at last by the driver
    size_t received; // by the peer
    bool ipv6;
    bool stalled;    // the peer reads nothing for a while
    bool finished;   // the peer has shut down its side
    bool was_reset;  // by the peer
    bool left;       // the peer has closed its end
    bool refused;    // a connect to the closed port
    bool connecting; // not synced since
    bool near_shut;
    bool closed_amid_data; // by a hook: what had been read by then is chance
    bool near_closed;
    bool near_owned; // by a bufferevent that would close it: what has come may have been read ahead of need
    bool far_ended;  // the peer has seen the end, or a reset
    bool far_reset;
};

// The raw listening socket and a port on which nothing listens, both for the life of the process.
bool net_start();
struct sockaddr_in open_address();
struct sockaddr_in closed_address();

// The same for either family.
struct any_address {
    struct sockaddr_storage storage;
    int length;

    struct sockaddr *get() { return reinterpret_cast<struct sockaddr *>(&storage); }
    int port() const { return ntohs(reinterpret_cast<const struct sockaddr_in *>(&storage)->sin_port); }
};
bool has_ipv6();
any_address open_address_of(bool ipv6);
any_address closed_address_of(bool ipv6);
const char *loopback_name(bool ipv6);

SOCKET raw_socket();
// Of the family that `made` says.
bool connection_make(connection *made, int id);
// The same, over IPv4, with that number as the near end's descriptor, which was closed. False: it has not come back.
bool connection_make_as(connection *made, int id, SOCKET number);
// Takes the connection that `made->near_end` has just asked for.
bool connection_accept(connection *made);

void peer_send(connection *on, int bytes, int fragments);
void peer_finish(connection *on);
// It reads nothing from now on, and little fits in between.
void peer_stall(connection *on);
void peer_reset(connection *on);
// Closes its end, which has received all.
void peer_leave(connection *on);
// More can be written: an acknowledgement that is delayed, by 40 ms at most, makes room once more.
bool becomes_writable(SOCKET one);
// Whether what the peer sent ahead of its reset is lost to who has not received it by then: so under Wine 10, and on
// Windows.
bool reset_overtakes_bytes();
// Appends what has come to `got`. False when nothing had.
constexpr size_t max_received = 16384;
bool peer_receive(connection *on, std::string *got, size_t at_most = max_received);
// Until the end of the stream, or a limit: the loop stands still meanwhile.
void peer_receive_to_the_end(connection *on, std::string *got);
// What the kernel still has for the near end. Counts it as read; false if it is not what the peer sent.
bool near_take_rest(connection *on);

// Byte number `index` of the stream `id`.
char stream_byte(int id, size_t index);

} // namespace parity

#endif
