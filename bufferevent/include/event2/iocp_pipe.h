/* Named pipes on a base's I/O completion port. Plain C, and a part of event2/iocp.h. HANDLE is `void *` here, so that no
 * windows.h is needed.
 *
 * Errors: EVUTIL_SOCKET_ERROR() after a call that failed, which is Windows's own code, or a Winsock code (WSA...) where a
 * function names one. */
#ifndef EVENT2_IOCP_PIPE_H_INCLUDED_
#define EVENT2_IOCP_PIPE_H_INCLUDED_

#include "event2/util.h"
#include "event2/visibility.h"

struct bufferevent;
struct event_base;
struct timeval;

#ifdef __cplusplus
extern "C" {
#endif

/* A pipe for a child process: one end for a base, one for the child's standard input, output or error.
 *
 * `we_read`: nonzero, for what the child writes; 0, for what it reads. Bytes go in that direction alone.
 * `*ours` is overlapped, is not inherited, and is for bufferevent_iocp_handle_new on whichever base.
 * `*theirs` is inheritable and blocks, as a C runtime expects it of a standard handle. It is for STARTUPINFO's hStdInput,
 * hStdOutput or hStdError, and to be closed (CloseHandle) when the child has been made: as long as any process has it
 * open, `ours` sees no end. A child that another thread makes meanwhile, with bInheritHandles and no
 * PROC_THREAD_ATTRIBUTE_HANDLE_LIST, inherits it, too. Both are the caller's.
 *
 * CreatePipe's pipes are not for this: neither of their ends is overlapped, and no port takes them. This one has a name
 * that cannot be guessed, one instance, which is taken when the function returns, and is closed to other machines.
 *
 * May be called at any time in any thread, needs no base, and does not block.
 *
 * Returns 0, or -1 with the socket error set, and both are NULL then. */
EVENT2_EXPORT_SYMBOL
int evutil_iocp_pipe_pair(void **ours, void **theirs, int we_read);

/* Names. "\\\\.\\pipe\\name" as a C string, in UTF-8, and of this machine alone; "name" may have backslashes. What begins
 * with \\?\pipe\ is the same. Where a function below is given a name, its error is
 *   ERROR_INVALID_NAME            it is none: another beginning (\\server\pipe\... included), nothing behind it, or an
 *                                 empty part, "." or ".." in it
 *   ERROR_NO_UNICODE_TRANSLATION  it is not UTF-8
 *   ERROR_FILENAME_EXCED_RANGE    it has more than 256 UTF-16 units, Microsoft's limit, all told */

/* A listener on a pipe of bytes that goes in both directions: what evconnlistener is for a socket. */
struct evpipelistener;

/* A client has come. The callback owns the handle. It is overlapped, and on the listener's base's port:
 * bufferevent_iocp_handle_new takes it on that base and on no other (a handle cannot leave its port before Windows 8.1).
 * Operations on it that are done at once leave no packet (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS). A program's own may be
 * waited for (GetOverlappedResult), by OVERLAPPED's event or without one. A client that has written and gone again is told
 * of, too: what it wrote can be read, and the end behind it. May free the listener. */
typedef void (*evpipelistener_cb)(struct evpipelistener *listener, void *handle, void *arg);
/* EVUTIL_SOCKET_ERROR() says why no instance of the pipe could be made or waited at (it may be one of several): a
 * shortage, as a rule. The listener tries again; at most EVPIPELISTENER_IOCP_ERRORS_A_SECOND. */
typedef void (*evpipelistener_errorcb)(struct evpipelistener *listener, void *arg);

/* How many clients may be waited for at a time, and how many 0 stands for. */
#define EVPIPELISTENER_IOCP_MAX_INSTANCES 256
#define EVPIPELISTENER_IOCP_DEFAULT_INSTANCES 4
#define EVPIPELISTENER_IOCP_ERRORS_A_SECOND 20

/* Listens, and is enabled.
 *
 * `instances`: how many of the pipe wait for clients. One that has a client is replaced when that is told of, so that
 * this is what a socket's backlog is: more clients than that in one turn of the loop find the pipe busy, and have to try
 * again (as bufferevent_iocp_pipe_connect does). How many have clients is not limited.
 * `security`: a SECURITY_ATTRIBUTES *, which is copied with its descriptor; NULL for Windows' default: full control for
 * the account that the process runs as and for administrators, reading for everyone. Grant no other account
 * FILE_CREATE_PIPE_INSTANCE, which is a part of GENERIC_WRITE and lets it answer this pipe's clients.
 *
 * Clients of other machines are refused (PIPE_REJECT_REMOTE_CLIENTS). Nobody listens on the name already, and nobody can
 * as long as the listener does (FILE_FLAG_FIRST_PIPE_INSTANCE): the last instance that is left is not handed on before
 * another one is there, also when there is a shortage.
 *
 * It keeps the loop running as long as it is enabled. Free it before its base.
 *
 * Threads: as libevent's own calls, this and those below from any thread if locking is on, provided that nobody frees the
 * listener meanwhile; the callbacks run in the base's loop.
 *
 * Returns NULL with the socket error set:
 *   WSAEOPNOTSUPP        the base is not on a port, or NULL
 *   WSAEINVAL            `instances` is out of bounds, or `cb` is NULL
 *   ERROR_ACCESS_DENIED  the name is in use, or is not allowed
 *   ERROR_INVALID_SECURITY_DESCR
 *   WSAENOBUFS           no memory
 *   those of names, above, and what CreateNamedPipe says else */
EVENT2_EXPORT_SYMBOL
struct evpipelistener *evpipelistener_iocp_new(struct event_base *base, const char *name, int instances, void *security,
                                               evpipelistener_cb cb, void *arg);
/* Clients that nobody was told of see the end of the pipe. No callback runs any more; one that runs in another thread is
 * waited for. May be called by the listener's own callbacks. The name is free again when it returns, and when no handle
 * to an instance is open any more, of either end: Windows keeps it until then. No lock may be held meanwhile that a callback
 * needs. */
EVENT2_EXPORT_SYMBOL
void evpipelistener_iocp_free(struct evpipelistener *listener);

/* Disabled, it tells of nobody. As many clients as there were instances waiting are connected, and are told of when it
 * is enabled again; all others find the pipe busy. To disable it waits for a callback that runs in another thread, and so
 * no lock may be held meanwhile that this needs. Both return 0. */
EVENT2_EXPORT_SYMBOL
int evpipelistener_iocp_enable(struct evpipelistener *listener);
EVENT2_EXPORT_SYMBOL
int evpipelistener_iocp_disable(struct evpipelistener *listener);
/* NULL: errors are only warned of, in libevent's log. */
EVENT2_EXPORT_SYMBOL
void evpipelistener_iocp_set_error_cb(struct evpipelistener *listener, evpipelistener_errorcb cb);
/* The one that it was made with. */
EVENT2_EXPORT_SYMBOL
struct event_base *evpipelistener_iocp_get_base(struct evpipelistener *listener);

#define BUFFEREVENT_IOCP_PIPE_DEFAULT_PATIENCE_MS 5000

/* Connects to a pipe of this machine: what bufferevent_socket_connect is for a socket.
 *
 * `bev`: made by bufferevent_iocp_handle_new with INVALID_HANDLE_VALUE, and without a handle since. Nothing is called back
 * from within the call. In the loop there is then
 *   BEV_EVENT_CONNECTED  it has a handle, which is overlapped, and reads and writes; or, where the server's pipe goes in
 *                        one direction alone, does one of the two, and the other fails (ERROR_ACCESS_DENIED);
 *   BEV_EVENT_ERROR      it has none, and may connect anew. EVUTIL_SOCKET_ERROR() in the callback is what CreateFile said:
 *                        ERROR_FILE_NOT_FOUND where nobody listens, ERROR_ACCESS_DENIED, and others; or WSAETIMEDOUT; or
 *                        WSAENOBUFS. A pipe that goes in both directions, of which its server grants this account one
 *                        (by Windows' default, others may read), is ERROR_ACCESS_DENIED: its server has had a client
 *                        then that went again.
 * What is written before is kept in the output, and sent then. To free it before gives the connect up, as does
 * bufferevent_setfd.
 *
 * `patience`: while all instances of the pipe have their clients (ERROR_PIPE_BUSY) it tries again, after 1 ms first and
 * 32 ms at last, for so long; then there is WSAETIMEDOUT. Copied; NULL for the default; 0 tries once.
 *
 * The server learns who its client is, and cannot act in its name (SECURITY_IDENTIFICATION). FILE_CREATE_PIPE_INSTANCE is
 * not asked for: a server need not grant it.
 *
 * Threads: as all functions of a bufferevent, from any, with BEV_OPT_THREADSAFE.
 *
 * Returns 0, or -1 with the socket error set, and nothing has changed:
 *   WSAEOPNOTSUPP  `bev` is not one of bufferevent_iocp_handle_new
 *   WSAEALREADY    it connects
 *   WSAEISCONN     it has a handle
 *   WSAEINVAL      `patience` is no time
 *   WSAENOBUFS     no memory
 *   those of names, above */
EVENT2_EXPORT_SYMBOL
int bufferevent_iocp_pipe_connect(struct bufferevent *bev, const char *name, const struct timeval *patience);

#ifdef __cplusplus
}
#endif

#endif
