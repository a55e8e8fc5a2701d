/* Changes in a directory, told by the loop of a base on a port. Plain C; a part of event2/iocp.h. */
#ifndef EVENT2_IOCP_DIRECTORY_H_INCLUDED_
#define EVENT2_IOCP_DIRECTORY_H_INCLUDED_

#include "event2/visibility.h"

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct evdirwatch;

/* What has become of one name. */
enum evdirchange_action {
    EVDIRCHANGE_ADDED = 1,       /* made, or moved here from elsewhere */
    EVDIRCHANGE_REMOVED = 2,     /* deleted, or moved elsewhere */
    EVDIRCHANGE_MODIFIED = 3,    /* its size, time of the last write, time of creation or attributes */
    EVDIRCHANGE_RENAMED_OLD = 4, /* the next of the changes is RENAMED_NEW, and says what it is called now */
    EVDIRCHANGE_RENAMED_NEW = 5
};

struct evdirchange {
    enum evdirchange_action action;
    /* Relative to the directory, its parts separated by '\', in UTF-8. Names on Windows are any 16-bit units: what would
     * be half of a surrogate pair is written as if it were a character (three bytes, ED A0 80 to ED BF BF, known as
     * WTF-8), so that each name is different and evdirwatch_iocp_new takes it back. Windows may use a file's short name
     * (8.3) instead of its long one. Valid until the callback returns. */
    const char *path;
};

/* Also what changes below the directory's own directories. */
#define EVDIRWATCH_RECURSIVE 0x01

/* What a callback is told besides changes, as bits. */
/* More has changed than there was room for, and some of it is not among the changes: look at the directory anew. What
 * changes from now on is told as before, so that a look within the callback or later misses nothing. */
#define EVDIRWATCH_OVERFLOW 0x01
/* The directory itself was deleted: the watch is over, and this is its last callback. */
#define EVDIRWATCH_DELETED 0x02
/* The watch is over for another reason: the share or volume is gone, or memory was short for the base's own timer. */
#define EVDIRWATCH_ERROR 0x04

/* Called in the base's loop, with the base's default priority and no lock held, and never from within a function of
 * this header. `count` is how many changes there are, in the order in which they happened; it is 0 if `what` is all that
 * is told. With EVDIRWATCH_DELETED or _ERROR the reason is in EVUTIL_SOCKET_ERROR(), a Win32 code.
 *
 * Names of a rename come in pairs, in one call, old one first. Of a rename that crosses the border of what is watched
 * there is one name, which is REMOVED or ADDED; so it is if Windows does not tell the other one within a second.
 *
 * One action of a program often is several changes: to write a file anew is ADDED and MODIFIED, with some programs more
 * than one of each. Windows tells of a change in a directory's directory, without EVDIRWATCH_RECURSIVE, that the latter
 * is MODIFIED. It tells of a write when it gets to disk or the file is closed. */
typedef void (*evdirwatch_cb)(struct evdirwatch *watch, const struct evdirchange *changes, int count, int what,
                              void *arg);

/* Tells of all that changes from now on in the directory `path`, which is in UTF-8, and may be relative, of any length
 * and end in a separator. `flags`: 0 or EVDIRWATCH_RECURSIVE. A base with a watch stays in event_base_dispatch.
 *
 * Each watch has a handle of the directory (which keeps nobody from deleting or renaming it, and follows when it is
 * renamed; where deletion waits for the last handle, as before Windows 10, the name is free when the watch is over or
 * freed) and 16 KiB, and as much again in the kernel: what changes while the callback runs or has to wait is kept there,
 * and past that it is EVDIRWATCH_OVERFLOW.
 *
 * May be called in any thread, provided that locking is on if there are several.
 *
 * Returns NULL with the socket error set (EVUTIL_SOCKET_ERROR()), a Winsock or Win32 code, if nothing can be watched:
 *   WSAEOPNOTSUPP                  `base` is NULL or not on a port
 *   WSAEINVAL                      `path` or `cb` is NULL, or there is no such flag
 *   ERROR_NO_UNICODE_TRANSLATION   `path` is not UTF-8
 *   ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND
 *                                  it is not there, or empty
 *   ERROR_DIRECTORY                it is a file
 *   ERROR_INVALID_FUNCTION         its file system tells of no changes
 *   WSAENOBUFS                     no memory, or the kernel has none
 * and whatever else CreateFileW may say (ERROR_ACCESS_DENIED). */
EVENT2_EXPORT_SYMBOL
struct evdirwatch *evdirwatch_iocp_new(struct event_base *base, const char *path, int flags, evdirwatch_cb cb,
                                       void *arg);

/* Ends it. May be called at any time: from within its own callback, and in any thread, provided that locking is on if
 * there are several. In another thread than the loop's it waits for a callback that is running, as event_del does; in
 * each case no callback comes after it has returned. The handle is closed when it returns.
 *
 * A watch outlives its base: event_base_free ends it, without a callback, and it is to be freed all the same, before or
 * after. NULL is allowed. */
EVENT2_EXPORT_SYMBOL
void evdirwatch_iocp_free(struct evdirwatch *watch);

#ifdef __cplusplus
}
#endif

#endif
