/* A bufferevent over an overlapped byte stream that is no socket: either end of a named pipe, a serial port. Plain C;
 * included by event2/iocp.h. */
#ifndef EVENT2_IOCP_HANDLE_H_INCLUDED_
#define EVENT2_IOCP_HANDLE_H_INCLUDED_

#include "event2/util.h"
#include "event2/visibility.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bufferevent;
struct event_base;

/* Makes a bufferevent over a HANDLE. It is a socket bufferevent in all but what it reads and writes: callbacks,
 * watermarks, timeouts, rate limits, priorities, the options of bufferevent_socket_new, filters and
 * bufferevent_openssl_filter_new upon it. It has no half-close, and does not connect to an address
 * (bufferevent_socket_connect and its kind fail with WSAEOPNOTSUPP; without an address, which is for sockets that connect
 * already, BEV_EVENT_ERROR tells so), but to a pipe, by bufferevent_iocp_pipe_connect. So evhttp and evrpc, which accept and
 * connect by themselves, have no use for it.
 *
 * `handle`: a HANDLE that was opened with FILE_FLAG_OVERLAPPED for reading, writing or both, and is on no other port. A
 * server's end of a pipe is connected already (ConnectNamedPipe). It joins the base's port. One bufferevent at a time has
 * it, and its program reads, writes or closes it in no other way meanwhile. INVALID_HANDLE_VALUE: none yet.
 *
 * bufferevent_getfd() is the handle's value. bufferevent_setfd() gives it another handle (with the same errors: it returns
 * -1 then, and nothing is changed), or none: (evutil_socket_t)-1. The one before is its program's again, whatever the
 * options. With the handle that it has it goes on. (If that was closed by CloseHandle under it, and another one has its
 * number, it gets that; where this fails, -1 is returned, too, and it has none, and that one is its program's.)
 * bufferevent_base_set() fails.
 *
 * What is read
 *   A pipe of messages is read as bytes: where one message ends and the next begins is not told, and an empty one is
 *   nothing. A pipe of bytes where nothing has come yet has no buffer in the kernel, nor one that was quiet for some
 *   time when others need it; one of messages, and a serial port, has a small one at least, since there a read of no
 *   bytes does not wait.
 *   BEV_EVENT_EOF is told when the other end was closed (ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED, ERROR_HANDLE_EOF)
 *   and all was read. A read that brings nothing is no end.
 *   A serial port's read time-outs are set by this call, so that a read ends with the first bytes that come (MAXDWORD,
 *   MAXDWORD and a constant, as Microsoft's documentation of COMMTIMEOUTS has it); those of writes stay. If the program
 *   sets them so that reads end with nothing, the port is read some hundred times a second, not more often.
 *
 * What is written
 *   As of a socket, it leaves the output when it is handed to the kernel. Small pieces are put together, for WriteFile has
 *   one buffer. BEV_EVENT_ERROR with BEV_EVENT_WRITING tells of an error; in the callback EVUTIL_SOCKET_ERROR() is the
 *   Win32 code: ERROR_NO_DATA or ERROR_BROKEN_PIPE where the other end was closed.
 *   A write that was begun is never cancelled to be repeated, since Windows does not tell how much of it was taken.
 *
 * When it is freed
 *   With BEV_OPT_CLOSE_ON_FREE the handle is closed (CloseHandle). A write in flight goes to its end first, within the
 *   limits of event_base_iocp_set_lingering; past them it is cancelled, and the other end has a part of it. Bytes still in
 *   the output are lost, as always.
 *   Without it the handle is its program's again when the call returns (a write in flight goes on, without a limit): a
 *   pipe of bytes still holds all that was not added to the input. Of any other handle, bytes may have been read already:
 *   the next bufferevent of the same base on the handle begins with them, and nobody else gets them (if there is no memory
 *   to keep them they are lost, and libevent's log says so). The handle leaves the port where Windows can do that (8.1
 *   and later), if at that moment no write is in flight and no such bytes are kept. Else it stays until it is closed (it
 *   is not tried again later, when its program may have closed it), and only this base can have it: on another one it is
 *   refused with ERROR_INVALID_PARAMETER. Operations on it that are done at once may go on to leave no packet
 *   (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS).
 *   evutil_closesocket() closes the handle of a living bufferevent in the same way.
 *
 * May be called in any thread, provided that locking is on if there are several. Callbacks run in the base's loop.
 *
 * Returns NULL with the socket error set (EVUTIL_SOCKET_ERROR()), and the handle is as it was:
 *   WSAEOPNOTSUPP            the base is NULL or not on a port
 *   ERROR_INVALID_HANDLE     it is NULL, closed, or of something that has no bytes (a mutex, an event, a process)
 *   ERROR_INVALID_PARAMETER  it was opened without FILE_FLAG_OVERLAPPED, as an anonymous pipe (CreatePipe) is and a
 *                            standard handle may be; or it is on another port
 *   ERROR_NOT_SUPPORTED      a file or directory of a disk, which Windows reads in the call, whatever was asked; a console;
 *                            a pipe in the mode PIPE_NOWAIT
 *   WSAESOCKTNOSUPPORT       a socket, which is for bufferevent_socket_new
 *   WSAEALREADY              a bufferevent of this base has it
 *   WSAEINVAL                BEV_OPT_UNLOCK_CALLBACKS without BEV_OPT_DEFER_CALLBACKS
 *   WSAENOBUFS               no memory */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_iocp_handle_new(struct event_base *base, void *handle, int options);

#ifdef __cplusplus
}
#endif

#endif
