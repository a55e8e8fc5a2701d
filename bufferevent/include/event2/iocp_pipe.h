/* Named pipes on a base's I/O completion port. Plain C, and a part of event2/iocp.h. HANDLE is `void *` here, so that no
 * windows.h is needed.
 *
 * Errors: EVUTIL_SOCKET_ERROR() after a call that failed, which is a Win32 code (or WSAEOPNOTSUPP, WSAENOBUFS). */
#ifndef EVENT2_IOCP_PIPE_H_INCLUDED_
#define EVENT2_IOCP_PIPE_H_INCLUDED_

#include "event2/util.h"
#include "event2/visibility.h"

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

#ifdef __cplusplus
}
#endif

#endif
