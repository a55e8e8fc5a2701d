/* Child processes of a base on an I/O completion port. Plain C, and a part of event2/iocp.h. HANDLE is `void *` here, so
 * that no windows.h is needed. */
#ifndef EVENT2_IOCP_PROCESS_H_INCLUDED_
#define EVENT2_IOCP_PROCESS_H_INCLUDED_

#include <stddef.h>

#include "event2/util.h"
#include "event2/visibility.h"

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;

/* A child process, whose end is told in a base's loop. */
struct evprocess;

/* Which of the child's standard handles are pipes; the others are NUL: it reads nothing, and what it writes is lost. */
#define EVPROCESS_IOCP_PIPE_STDIN 0x01
#define EVPROCESS_IOCP_PIPE_STDOUT 0x02
#define EVPROCESS_IOCP_PIPE_STDERR 0x04
/* What it writes to its standard error goes where its standard output goes; not with EVPROCESS_IOCP_PIPE_STDERR. */
#define EVPROCESS_IOCP_STDERR_TO_STDOUT 0x08
/* No window: neither a console's nor the program's first. */
#define EVPROCESS_IOCP_HIDE 0x10
/* It has no console, and a process group of its own, so that a Ctrl-C of ours is not its. */
#define EVPROCESS_IOCP_DETACH 0x20

/* How a child is started. Set all of it to 0 first, then `size` to sizeof(struct evprocess_iocp_options): a program may
 * have been compiled with another version of it. Texts are UTF-8, end with a 0, and are copied. */
struct evprocess_iocp_options {
    size_t size;
    /* Either of the two. `argv` ends with NULL, has the program's name first, and is put together so that the C runtime
     * of the child takes it apart into the same arguments (spaces, quotes, backslashes, empty ones); a program that takes
     * its command line apart by itself, such as cmd.exe, is to be given `command_line`. Either may have 32,766 UTF-16
     * units. */
    const char *command_line;
    const char *const *argv;
    /* The program's path; NULL: the first word of the command line, looked for as CreateProcess does, in the program's
     * own folder, the current one, Windows's and those of PATH. Quote it there if it has spaces, or `C:\Program` is
     * tried. */
    const char *program;
    const char *directory; /* the child's current one; NULL: ours */
    /* "NAME=value" each, in any order, and NULL at the end; SystemRoot is added if it is not among them, since Winsock and
     * others fail without. NULL: ours. */
    const char *const *environment;
    unsigned flags; /* EVPROCESS_IOCP_... */
};

/* The child has ended. Its output may not have been read yet: that ends with its pipe's own end, which a grandchild that
 * has it open delays. `exit_code`: Windows's; of one that failed by an exception an NTSTATUS. It may call anything,
 * evprocess_iocp_free for its process included. */
typedef void (*evprocess_iocp_cb)(struct evprocess *process, ev_uint32_t exit_code, void *arg);

/* Starts a child, which inherits its three standard handles and no other, whatever else of ours is inheritable
 * (PROC_THREAD_ATTRIBUTE_HANDLE_LIST). `cb` is called once, in the base's loop, when it has ended; until then the base
 * has something to wait for. NULL: nobody is told, and the base does not wait for it. Where the loop runs in another
 * thread, it may be called before this has returned. A child that others end before its first instruction is
 * told of, too.
 *
 * The child's ends of its pipes can be inherited while this runs, as ever on Windows: a child that another thread starts
 * meanwhile by CreateProcess, with all handles that can be, has them open, too, and their end comes after its own. Children
 * that are started by this function take nothing from each other.
 *
 * Batch files are refused where they are given by `argv`: cmd.exe would read the line, by other rules, which no quoting
 * of arguments is safe for. They are known by their names, with any dots and spaces behind them: .bat and .cmd. Where
 * the program's path has a part `..`, none of its parts may have such a name, whatever the path leads to.
 *
 * May be called at any time in any thread, provided that locking is on if there are several; so may all below. It blocks
 * for as long as Windows takes to load a program.
 *
 * Returns NULL with the socket error set, and nothing is left, or started:
 *   WSAEOPNOTSUPP                the base is not on a port, or is being freed
 *   WSAEINVAL                    `options`: both of `command_line` and `argv` or none, an empty line, an unknown flag,
 *                                both of PIPE_STDERR and STDERR_TO_STDOUT, or something in what a later version has; a
 *                                batch file in `argv`, or a quote in its program's name; an entry of `environment`
 *                                without a name or a `=`
 *   WSAENOBUFS                   there is no memory
 *   ERROR_NO_UNICODE_TRANSLATION a text is not UTF-8
 *   ERROR_FILENAME_EXCED_RANGE   the command line is too long
 *   ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_DIRECTORY, ERROR_BAD_EXE_FORMAT, ERROR_ELEVATION_REQUIRED, ...
 *                                as CreateProcess says */
EVENT2_EXPORT_SYMBOL
struct evprocess *evprocess_iocp_spawn(struct event_base *base, const struct evprocess_iocp_options *options,
                                       evprocess_iocp_cb cb, void *arg);

/* Our end of the child's standard input (0), output (1) or error (2), which is the caller's from now on: for
 * bufferevent_iocp_handle_new, or to be closed by CloseHandle. What is never taken is closed by evprocess_iocp_free. NULL,
 * and no socket error is set: that is no pipe, or has been taken. */
EVENT2_EXPORT_SYMBOL
void *evprocess_iocp_take_pipe(struct evprocess *process, int standard);

/* The process's number. It is not given to another one before evprocess_iocp_free. */
EVENT2_EXPORT_SYMBOL
ev_uint32_t evprocess_iocp_get_pid(const struct evprocess *process);

/* Ends it at once (TerminateProcess), with that exit code; the callback comes from the loop, as ever. Its own children
 * are not ended. Returns 0, or -1 with the socket error set: ERROR_ACCESS_DENIED, it has ended already (or is not ours to
 * end). */
EVENT2_EXPORT_SYMBOL
int evprocess_iocp_kill(struct evprocess *process, ev_uint32_t exit_code);

/* Lets go of the child, which runs on: to end it, kill it first. When it has returned, no callback comes, and none runs:
 * as evwait_iocp_del, it waits for one that is under way in another thread. NULL does nothing. If its base is freed first,
 * nobody is told of the child's end; the others may still be called. */
EVENT2_EXPORT_SYMBOL
void evprocess_iocp_free(struct evprocess *process);

#ifdef __cplusplus
}
#endif

#endif
