/* What a base on an I/O completion port can do beyond libevent's own interface. Plain C.
 *
 * A base is on a port if it was made with EVENT_BASE_FLAG_STARTUP_IOCP, or with EVENT_IOCP=1 in the environment, or if
 * its configuration or the environment leave no other method (select is avoided, or lacks a feature that is required).
 * With the flag or EVENT_IOCP=1 it is on select all the same where the port cannot be had, of which libevent's log
 * warns, and where the method "iocp" is avoided. event_base_get_method() says "iocp" of a base that is on a port. */
#ifndef EVENT2_IOCP_H_INCLUDED_
#define EVENT2_IOCP_H_INCLUDED_

#include <stddef.h>

#include "event2/util.h"
#include "event2/visibility.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of libevent-iocp, not of libevent: that is LIBEVENT_VERSION's. Three numbers, counted as CHANGELOG.md
 * says; the second form has a byte for each, and a last one that is 0 in a release and 1 before it: 0x00020000 is
 * 0.2.0. What a program was compiled with; what it runs with is told by the functions below, and may be newer where the
 * libraries are DLLs. */
#define LIBEVENT_IOCP_VERSION "0.2.0"
#define LIBEVENT_IOCP_VERSION_NUMBER 0x00020001

/* The version of the libraries that the program runs with, in the same two forms. May be called at any time in any
 * thread; the text is static. That a program can call them says that its libevent is this one. */
EVENT2_EXPORT_SYMBOL
const char *event_iocp_get_version(void);
EVENT2_EXPORT_SYMBOL
unsigned event_iocp_get_version_number(void);

struct evconnlistener;
struct event_base;
struct timeval;

/* The bounds of evconnlistener_iocp_set_first_data. */

/* The most bytes that come together with a connection. As many are set aside, and may be locked in memory by the
 * kernel, for each accept in flight. */
#define EVCONNLISTENER_IOCP_MAX_FIRST_DATA 16384
/* Accepts in flight of one listener, which is also how many connected peers of it may be silent at a time. */
#define EVCONNLISTENER_IOCP_MAX_ACCEPTS 256
/* The shortest and the longest patience, and the one that NULL stands for, in milliseconds. */
#define EVCONNLISTENER_IOCP_MIN_PATIENCE_MS 100
#define EVCONNLISTENER_IOCP_MAX_PATIENCE_MS 3600000
#define EVCONNLISTENER_IOCP_DEFAULT_PATIENCE_MS 10000

/* Accepts connections together with their first data, which saves a receive for each: for protocols in which the client
 * speaks first (HTTP), and where connections are short. Off by default. It is what LEV_OPT_DEFERRED_ACCEPT asks of
 * other systems.
 *
 * `bytes`: how many bytes may come with a connection, up to EVCONNLISTENER_IOCP_MAX_FIRST_DATA. The listener's callback
 * is called when the first of them have arrived, however few, or the peer has ended its stream without any. 0 turns it
 * off again.
 *
 * `patience`: how long a peer may be connected and say nothing before its connection is closed, without the callback
 * having been called for it. Within the bounds above; copied; NULL for the default; not looked at if `bytes` is 0. It
 * is checked four times in that span, by a clock that counts whole seconds, so that a silent peer is closed after
 * `patience`, and before a quarter more of it and a second have passed.
 *
 * Reading the first data. They are the first bytes that a socket bufferevent reads which is made on the descriptor
 * (bufferevent_socket_new), or given it (bufferevent_setfd, as evhttp does), on the listener's base. They are kept with
 * the descriptor until then, and freed by evutil_closesocket or, if the program closes it in another way, with the base
 * at the latest. bufferevent_openssl_socket_new reads them as well, with an SSL that libevent gives its BIO; if the
 * program has given it one, the connection is ended. THEY ARE NOT SEEN by anything else: recv, evbuffer_read, a plain
 * event, a bufferevent of another base. Leave this off for a listener whose connections are read so.
 *
 * Silent peers cannot hold up others. When connects wait while every accept in flight is taken by a silent peer, more
 * are started, and at EVCONNLISTENER_IOCP_MAX_ACCEPTS the peers that have been silent longest are closed. The rule is
 * Microsoft's, from its documentation of AcceptEx: with a receive buffer it "will not complete until a connection is
 * accepted and data is read", getsockopt's SO_CONNECT_TIME tells connections on which nothing has been received, and it
 * is recommended to end them by closing the accepted socket.
 *
 * A change holds for connects that come after it; peers that are silent already keep the rule under which they came,
 * with the new patience. Accepts asked for before are called back, and connects meanwhile wait in the backlog.
 * evconnlistener_disable stops no accept that is in flight, and patience goes on; evconnlistener_free closes them all.
 *
 * May be called at any time in any thread, provided that locking is on (evthread_use_windows_threads) if there are
 * several, and that nobody frees the listener meanwhile.
 *
 * Returns 0, or -1 with the socket error set (EVUTIL_SOCKET_ERROR()), and nothing is changed:
 *   WSAEOPNOTSUPP  the listener's base is not on a port
 *   WSAEINVAL      `bytes` or `patience` is out of bounds
 *   WSAENOBUFS     no memory
 * Where the base is on a port but this socket's connections are accepted plainly (the listener was made without
 * LEV_OPT_CLOSE_ON_FREE, AcceptEx is missing, the socket is shared, does not listen yet or belongs to another port), it
 * returns 0 and has no effect: nothing is read early. */
EVENT2_EXPORT_SYMBOL
int evconnlistener_iocp_set_first_data(struct evconnlistener *listener, size_t bytes, const struct timeval *patience);

/* Does without AcceptEx for this listener: its connections are waited for and taken by accept(), as on select. For
 * machines where an antivirus or VPN provider breaks AcceptEx. EVENT_IOCP_NO_ACCEPTEX=1 in the environment does it for
 * every listener, and may be tried without building anything.
 *
 * There is no way back. Accepts in flight are called back: connections that they have brought are told of as usual, and
 * peers that have connected and sent nothing while first data (above) are waited for are closed. First data do not come
 * any more. Of several listeners of one base on one socket, it is done for all.
 *
 * May be called at any time in any thread, provided that locking is on if there are several, and that nobody frees the
 * listener meanwhile.
 *
 * Returns 0, also if its connections are accepted plainly already, or -1 with the socket error set:
 *   WSAEOPNOTSUPP  the listener's base is not on a port */
EVENT2_EXPORT_SYMBOL
int evconnlistener_iocp_avoid_acceptex(struct evconnlistener *listener);

/* Bases in threads that share a listening socket, and a listener that hands on.
 *
 * Windows has no SO_REUSEPORT, and a socket lives on one port. What programs do, one base in each thread with a listener
 * of its own on the one socket (evconnlistener_new or evhttp_accept_socket, which is the way for evhttp), needs nothing
 * of what follows: connections come to all those bases in turn, each in its own thread and on its own port, and none
 * waits for a base that computes. For a program with one listener, its connections can be handed on to more bases.
 *
 * The callback then runs in the thread of the base that gets the connection; its first argument is a listener of that
 * base, so that evconnlistener_get_base tells which: it is there for that and evconnlistener_get_fd, and is the
 * library's. What is asked of the listener itself is done for all: evconnlistener_enable, _disable and _free, which wait
 * for callbacks that are running in other threads, as event_del does (but for the listener's own with
 * LEV_OPT_THREADSAFE), so that two callbacks must not ask for it at a time; _set_cb and _set_error_cb, which are for a
 * listener that is disabled. Not for a listener that evhttp has (evhttp_bind_listener): evhttp is of one base. Nor is
 * anything handed round while a program's own event, or a listener of a base on select or of one that was moved to its
 * port (event_base_start_iocp_), is on the socket, too: whoever wakes first accepts then. */

/* With the listener's own. */
#define EVCONNLISTENER_IOCP_MAX_BASES 256

/* Gives it one more base, or takes that away again. A base that is freed is taken away by that; it must not be freed
 * while another thread asks something of the listener.
 *
 * May be called in any thread while the loops run, provided that locking is on, and that nobody asks anything else of
 * the same listener meanwhile.
 *
 * Both return 0, or -1 with the socket error set, and nothing is changed:
 *   WSAEOPNOTSUPP    one of the two bases is not on a port
 *   WSAEALREADY      the listener has that base
 *   WSAETOOMANYREFS  it has EVCONNLISTENER_IOCP_MAX_BASES
 *   WSAENOBUFS       no memory
 *   WSAEINVAL        to be taken away: it has not got that base, or it is its own */
EVENT2_EXPORT_SYMBOL
int evconnlistener_iocp_add_base(struct evconnlistener *listener, struct event_base *base);
EVENT2_EXPORT_SYMBOL
int evconnlistener_iocp_remove_base(struct evconnlistener *listener, struct event_base *base);

/* Who of several bases is next, of those that do not compute just then: who has had the fewest connections (the
 * default), or who has the fewest open. Open is what has a bufferevent that closes it (BEV_OPT_CLOSE_ON_FREE, and
 * evhttp's). It holds for the socket, whatever listeners share it, and as long as there is one.
 *
 * May be called at any time in any thread, provided that nobody frees the listener meanwhile.
 *
 * Returns 0, or -1 with the socket error set:
 *   WSAEOPNOTSUPP  the listener's base is not on a port
 *   WSAEINVAL      there is no such order */
enum evconnlistener_iocp_order { EVCONNLISTENER_IOCP_IN_TURN, EVCONNLISTENER_IOCP_BY_LOAD };
EVENT2_EXPORT_SYMBOL
int evconnlistener_iocp_set_order(struct evconnlistener *listener, enum evconnlistener_iocp_order order);

/* What is on its way when a socket is closed.
 *
 * On select, the kernel keeps what it has taken of a program's bytes, and delivers it after the socket was closed. On a
 * port, a send in flight is such bytes: when its bufferevent is freed, the send goes on, and the socket is closed when
 * it has ended. A peer that does not read could hold a socket and some memory so for ever; hence there are limits, for
 * one base: how long after it was closed a socket may linger, and how many bytes all such sockets may have on their way
 * together. Beyond, the connection (of several the one closed first) is ended by a reset, and what it had not sent is
 * lost.
 *
 * How long is meant for a send of the length that the program has asked for, which is 16 KiB where it has not
 * (bufferevent_set_max_single_write). One that the library has made longer by itself may take as long again for each
 * further 16 KiB, or part of them, and so may one that follows it soon: a slow peer has as much time for each byte as it
 * would have had. A send grows to 256 KiB at most, so that a socket lingers for 16 times the limit at most (more only where
 * several bufferevents have used it one after the other), and all that sends have grown by is no more than half of those
 * bytes. A send of TLS is as long as what OpenSSL has handed over, 64 KiB and the record that exceeds them, whatever the
 * program has asked for, and may take as long for each 16 KiB of it, too. */
#define EVENT_IOCP_DEFAULT_LINGER_MS 60000
#define EVENT_IOCP_DEFAULT_LINGER_BYTES (32 * 1024 * 1024)
/* The bounds of `limit` below, in milliseconds. */
#define EVENT_IOCP_MIN_LINGER_MS 100
#define EVENT_IOCP_MAX_LINGER_MS 3600000

/* Sets both. `limit`: how long, as above, and within those bounds; copied. `bytes`: how many; 0 lets nothing linger.
 * Holds for sockets that have been closed already, too.
 *
 * May be called at any time in any thread, provided that locking is on if there are several.
 *
 * Returns 0, or -1 with the socket error set, and nothing is changed:
 *   WSAEOPNOTSUPP  the base is NULL or not on a port
 *   WSAEINVAL      `limit` is NULL or out of bounds */
EVENT2_EXPORT_SYMBOL
int event_base_iocp_set_lingering(struct event_base *base, const struct timeval *limit, size_t bytes);

/* What has become of a base's operations of one kind, since it was made. Each that was started is in one of the others,
 * or has succeeded by a packet. */
struct event_iocp_operation_stats {
    ev_uint64_t started;      /* calls that ask the kernel for one */
    ev_uint64_t done_at_once; /* done within that call */
    ev_uint64_t failed;       /* with an error, then or later */
    ev_uint64_t cancelled;    /* ended after the base had asked for it, however */
    ev_uint64_t in_flight;    /* now */
};

/* What a base on a port has done since it was made, and what it has now. For a program's own monitoring, and to see
 * what a base is busy with; libevent's debug log (event_enable_debug_logging) tells of each operation. What the numbers
 * mean in terms of the kernel follows the implementation: a later version may do the same with others. */
struct event_iocp_stats {
    ev_uint64_t turns;                       /* of the loop */
    ev_uint64_t waits;                       /* how often it waited at the port, for however short a time */
    ev_uint64_t looks;                       /* how often it looked there and did not wait */
    ev_uint64_t looks_together;              /* calls of select, each for many plain events */
    ev_uint64_t packets;                     /* dequeued by it */
    struct event_iocp_operation_stats polls; /* of sockets whose events are told by readiness */
    struct event_iocp_operation_stats receives;
    struct event_iocp_operation_stats sends;
    struct event_iocp_operation_stats connects;
    struct event_iocp_operation_stats accepts;
    ev_uint64_t sockets;              /* that it knows now */
    ev_uint64_t receive_buffer_bytes; /* of receives in flight, and of what is received and not read */
    ev_uint64_t lingering_bytes;      /* on their way, nobody waiting: sockets that are closed (above), or taken back */
    struct event_iocp_operation_stats directories;  /* reads of changes (event2/iocp_directory.h) */
    struct event_iocp_operation_stats handle_waits; /* see event2/iocp_wait.h */
};

/* Fills in the first `size` bytes of `*into`: pass sizeof(*into), and a library that is newer or older than the header
 * fills what both know and sets the rest to 0.
 *
 * May be called at any time in any thread, provided that locking is on if there are several.
 *
 * Returns 0, or -1 with the socket error set, and nothing is changed:
 *   WSAEOPNOTSUPP  the base is not on a port
 *   WSAEINVAL      `into` is NULL or `size` is 0 */
EVENT2_EXPORT_SYMBOL
int event_iocp_get_stats(struct event_base *base, struct event_iocp_stats *into, size_t size);

#ifdef __cplusplus
}
#endif

#include "event2/iocp_directory.h" /* changes in directories */
#include "event2/iocp_embed.h"     /* a base inside another loop */
#include "event2/iocp_handle.h"    /* a bufferevent over a pipe or a serial port */
#include "event2/iocp_pipe.h"      /* listeners and connects of named pipes */
#include "event2/iocp_process.h"   /* child processes */
#include "event2/iocp_wait.h"      /* handles that can be waited for */

#endif
